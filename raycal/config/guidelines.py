"""What the owner of a project tells the people who label. It changes no experiment, and may change at every start."""

from typing import Annotated

from pydantic import Field

from raycal.config.strict import Strict


class GuidelinesConfig(Strict):
    """The guidelines of a project of people.

    Attributes:
        text: What people should know about all classes. An empty line separates two paragraphs.
        classes: What belongs to a class, by its name. A class that nobody has named yet may be among them.
    """

    text: Annotated[str, Field(max_length=10_000)] = ""
    classes: dict[str, Annotated[str, Field(max_length=1_000)]] = Field(default_factory=dict, max_length=1_000)
