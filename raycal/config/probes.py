"""How often a cluster question of people hides known images. It changes no experiment, and may change at every
start."""

from typing import Annotated

from annotated_types import Ge, Le

from raycal.config.strict import Strict


class ProbesConfig(Strict):
    """The hidden checks of a project of people.

    Attributes:
        share: The share of the questions about large clusters that get known samples of another class. 0 means that no
            question gets any.
    """

    share: Annotated[float, Ge(0), Le(1)] = 0.15
