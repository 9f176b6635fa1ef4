"""A measured figure beside its goal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be: at least, or at most, a value."""

    sign: Literal["<=", ">="]
    value: float

    def is_met(self, value: float) -> bool:
        """Whether a figure is as good as the goal; one that is not a number is not."""
        return value <= self.value if self.sign == "<=" else value >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table.

    Attributes:
        benchmark: What it belongs to.
        name: What was compared, such as `peer / raycal`.
        unit: Of `value`; `x` of a ratio.
        goal: None: told for what it is.
        arms: The repeats of each arm, in the order they were taken.
        setting: What was measured: dtype, layout, batch, count, threads, unit of the arms.
    """

    benchmark: str
    name: str
    value: float
    unit: str = "x"
    goal: Goal | None = None
    arms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    setting: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`met`, `not met`, or nothing without a goal."""
        return "" if self.goal is None else "met" if self.goal.is_met(self.value) else "not met"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "verdict": self.verdict}
