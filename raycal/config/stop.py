"""The rules by which a project of people suggests to stop. They change no experiment, and may change at every start."""

from typing import Annotated, Any

from annotated_types import Gt, Le, Lt
from pydantic import model_validator

from raycal.config.strict import MAX_COUNT, Strict


class StopConfig(Strict):
    """The rules by which a project of people suggests to stop.

    Attributes:
        target: The accuracy to reach, as a share. None means that there is no target.
        worth: The smallest gain of accuracy that is worth a round, as a share; 0.01 is one point.
        stable: The mean kappa of the predictions of successive models from which on they are stable. None means that
            this rule is not in force.
        minutes: The minutes of work that are planned. None means that there is no plan.
        automatically: Whether the project ends by itself after a round when a rule holds.
    """

    target: Annotated[float, Gt(0), Lt(1)] | None = None
    worth: Annotated[float, Gt(0), Lt(1)] = 0.01
    stable: Annotated[float, Gt(0), Le(1)] | None = 0.99
    minutes: Annotated[float, Gt(0), Le(MAX_COUNT)] | None = None
    automatically: bool = False

    @model_validator(mode="before")
    @classmethod
    def _end_by_rules_that_the_file_knew(cls, values: Any) -> Any:
        """The file of a project that ends by itself may be older than the rule `stable`. It keeps its meaning: without
        the key, the rule is not in force."""
        if isinstance(values, dict) and values.get("automatically") is True:
            return {"stable": None} | values
        return values
