"""The rules by which a project of people suggests to stop. They change no experiment, and may change at every start."""

from typing import Annotated

from annotated_types import Gt, Le, Lt

from raycal.config.strict import MAX_COUNT, Strict


class StopConfig(Strict):
    """The rules by which a project of people suggests to stop.

    Attributes:
        target: The accuracy to reach, as a share. None means that there is no target.
        worth: The smallest gain of accuracy that is worth a round, as a share; 0.01 is one point.
        minutes: The minutes of work that are planned. None means that there is no plan.
        automatically: Whether the project ends by itself after a round when a rule holds.
    """

    target: Annotated[float, Gt(0), Lt(1)] | None = None
    worth: Annotated[float, Gt(0), Lt(1)] = 0.01
    minutes: Annotated[float, Gt(0), Le(MAX_COUNT)] | None = None
    automatically: bool = False
