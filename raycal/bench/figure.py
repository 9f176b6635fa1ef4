"""A measured figure and its goal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """The smallest or largest value that a figure should have."""

    sign: Literal["<=", ">="]
    value: float

    def is_met(self, value: float) -> bool:
        """Whether a value meets the goal; NaN does not."""
        return value <= self.value if self.sign == "<=" else value >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table of figures.

    Attributes:
        benchmark: The benchmark that the figure belongs to.
        name: What was measured or compared, such as `peer / raycal`.
        unit: The unit of `value`; `x` for a ratio.
        goal: The goal for `value`. None means that the figure has no goal.
        arms: The repeated measurements of each arm, in order.
        setting: The settings of the measurement: dtype, layout, batch, count, threads, unit of the arms.
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
        """`met` or `not met`; empty if the figure has no goal."""
        return "" if self.goal is None else "met" if self.goal.is_met(self.value) else "not met"

    def record(self) -> dict[str, Any]:
        """The figure and its verdict as a dictionary, for JSON."""
        return {**asdict(self), "verdict": self.verdict}
