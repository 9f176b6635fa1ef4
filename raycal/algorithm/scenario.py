"""A scenario: which annotation steps an iteration has, in which order, and each step's share of the N interactions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from math import floor


class Ask(StrEnum):
    """What a step asks the expert for."""

    UNCERTAIN = "uncertain"
    RANDOM = "random"
    CLUSTERS = "clusters"


@dataclass(frozen=True, slots=True)
class Step:
    """One annotation step and its share of the iteration's interactions."""

    ask: Ask
    share: Fraction

    @property
    def asks_model(self) -> bool:
        """Whether the step needs predictions."""
        return self.ask is not Ask.RANDOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An annotation strategy of the paper, or one's own.

    Attributes:
        steps: In the order they are carried out; the shares add up to one.
        whole_pool: The budget is the pool, in one iteration: full supervision, the upper bound.
    """

    name: str
    steps: tuple[Step, ...]
    whole_pool: bool = False

    def __post_init__(self) -> None:
        if not self.steps or any(step.share <= 0 for step in self.steps):
            raise ValueError("every scenario has steps, each with a share above 0")
        if sum(step.share for step in self.steps) != 1:
            raise ValueError(f"the shares of the steps add up to {float(sum(s.share for s in self.steps))}, not 1")

    def budgets(self, interactions: int) -> tuple[int, ...]:
        """Interactions of each step: they add up to `interactions`.

        The running total is rounded half up, so the earlier step of a mixed scenario gets the odd one:
        5 in halves is 3 and 2. A step may get 0 and is then left out.
        """
        ends = [0]
        share = Fraction(0)
        for step in self.steps:
            share += step.share
            ends.append(floor(share * interactions + Fraction(1, 2)))
        return tuple(end - begin for begin, end in pairwise(ends))

    def iterations(self, planned: int) -> int:
        """How many of the planned iterations there are: one where a single one annotates the whole pool."""
        return 1 if self.whole_pool else planned

    def asks(self, *kinds: Ask) -> bool:
        """Whether a step asks for one of these."""
        return any(step.ask in kinds for step in self.steps)


_ALL, _HALF = Fraction(1), Fraction(1, 2)

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="random", steps=(Step(Ask.RANDOM, _ALL),)),
        Scenario(name="uncertain-only", steps=(Step(Ask.UNCERTAIN, _ALL),)),
        Scenario(name="cluster-only", steps=(Step(Ask.CLUSTERS, _ALL),)),
        Scenario(name="uncertain+cluster", steps=(Step(Ask.UNCERTAIN, _HALF), Step(Ask.CLUSTERS, _HALF))),
        Scenario(name="cluster+uncertain", steps=(Step(Ask.CLUSTERS, _HALF), Step(Ask.UNCERTAIN, _HALF))),
        Scenario(name="supervised", steps=(Step(Ask.RANDOM, _ALL),), whole_pool=True),
    )
}
