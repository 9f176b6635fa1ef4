"""Scenarios: the annotation steps of an iteration in their order, each with its share of the N interactions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any


class Ask(StrEnum):
    """Says what a step asks the expert about."""

    UNCERTAIN = "uncertain"
    RANDOM = "random"
    CLUSTERS = "clusters"
    # The step asks about the medoid of each cluster, and the whole cluster gets the medoid's label.
    REPRESENTATIVES = "representatives"


class Use(StrEnum):
    """A feature that only some scenarios use. A setting declares with `Affects` for which uses it matters."""

    BUDGET = "budget"  # The numbers of iterations and of interactions per iteration matter.
    ACQUISITION = "acquisition"  # An acquisition function chooses single images.
    CLUSTERS = "clusters"  # Clusters are formed.
    CLUSTER_ANSWERS = "cluster answers"  # The expert judges whole clusters.
    SAMPLE_ANSWERS = "sample answers"  # The expert labels single images.
    PREDICTIONS = "predictions"  # Predictions of a model choose what is asked, or give pseudo-labels.
    LATER_PREDICTIONS = "later predictions"  # Predictions choose what is asked in a step after the first.


@dataclass(frozen=True, slots=True)
class Step:
    """One annotation step and its share of the iteration's interactions."""

    ask: Ask
    share: Fraction

    @property
    def asks_model(self) -> bool:
        """Whether the step needs predictions of the query model."""
        return self.ask is not Ask.RANDOM

    @property
    def asks_clusters(self) -> bool:
        """Whether the step clusters D^U."""
        return self.ask in (Ask.CLUSTERS, Ask.REPRESENTATIVES)


@dataclass(frozen=True, slots=True)
class PseudoLabelsBy:
    """A pseudo-labeling method by its name, with the options that are not at their defaults."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """An annotation strategy: one of the paper, of related work, or of the user.

    Attributes:
        steps: The annotation steps in the order in which they are carried out. Their shares add up to one.
        whole_pool: Whether a single iteration annotates the whole pool: full supervision, the upper bound.
        pseudo_labels: The method that gives pseudo-labels after the steps, for the training of the iteration. None
            means that there are no pseudo-labels.
    """

    name: str
    steps: tuple[Step, ...]
    whole_pool: bool = False
    pseudo_labels: PseudoLabelsBy | None = None

    def __post_init__(self) -> None:
        if not self.steps or any(step.share <= 0 for step in self.steps):
            raise ValueError("a scenario needs at least one step, each with a share above 0")
        if sum(step.share for step in self.steps) != 1:
            raise ValueError(f"the shares of the steps add up to {float(sum(s.share for s in self.steps))}, not 1")

    def budgets(self, interactions: int) -> tuple[int, ...]:
        """The number of interactions of each step; the numbers add up to `interactions`.

        The running total is rounded half up, so the earlier step of a mixed scenario gets the odd interaction: 5
        interactions in halves are 3 and 2. A step may get 0 and is then left out.
        """
        ends = [0]
        share = Fraction(0)
        for step in self.steps:
            share += step.share
            ends.append(floor(share * interactions + Fraction(1, 2)))
        return tuple(end - begin for begin, end in pairwise(ends))

    def steps_with(self, interactions: int) -> tuple[tuple[Step, int], ...]:
        """Each step with its number of interactions, which add up to `interactions`."""
        return tuple(zip(self.steps, self.budgets(interactions), strict=True))

    def iterations(self, planned: int) -> int:
        """The number of iterations: the planned number, or one if a single iteration annotates the whole pool."""
        return 1 if self.whole_pool else planned

    @property
    def asks_model(self) -> bool:
        """Whether an iteration needs predictions for D^U."""
        return self.pseudo_labels is not None or any(step.asks_model for step in self.steps)

    @property
    def forms_clusters(self) -> bool:
        """Whether a step clusters D^U."""
        return any(step.asks_clusters for step in self.steps)

    @property
    def uses(self) -> frozenset[Use]:
        """The members of `Use` that hold for this scenario."""
        does = {
            Use.BUDGET: not self.whole_pool,
            Use.ACQUISITION: self.asks(Ask.UNCERTAIN),
            Use.CLUSTERS: self.forms_clusters,
            Use.CLUSTER_ANSWERS: self.asks(Ask.CLUSTERS),
            Use.SAMPLE_ANSWERS: self.asks(Ask.UNCERTAIN, Ask.RANDOM, Ask.REPRESENTATIVES),
            Use.PREDICTIONS: self.asks_model,
            Use.LATER_PREDICTIONS: any(step.asks_model for step in self.steps[1:]),
        }
        return frozenset(use for use, is_done in does.items() if is_done)

    def asks(self, *kinds: Ask) -> bool:
        """Whether a step asks about one of these kinds."""
        return any(step.ask in kinds for step in self.steps)


_ALL, _HALF = Fraction(1), Fraction(1, 2)
_UNCERTAIN = (Step(Ask.UNCERTAIN, _ALL),)

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="random", steps=(Step(Ask.RANDOM, _ALL),)),
        Scenario(name="uncertain-only", steps=_UNCERTAIN),
        Scenario(name="cluster-only", steps=(Step(Ask.CLUSTERS, _ALL),)),
        Scenario(name="uncertain+cluster", steps=(Step(Ask.UNCERTAIN, _HALF), Step(Ask.CLUSTERS, _HALF))),
        Scenario(name="cluster+uncertain", steps=(Step(Ask.CLUSTERS, _HALF), Step(Ask.UNCERTAIN, _HALF))),
        Scenario(name="supervised", steps=(Step(Ask.RANDOM, _ALL),), whole_pool=True),
        # Sources, in this order: Wang et al. 2017; Lee 2013; Zhou et al. 2004, Iscen et al. 2019; Berardo et al. 2015.
        Scenario(name="ceal", steps=_UNCERTAIN, pseudo_labels=PseudoLabelsBy("ceal")),
        Scenario(name="pseudo-labels", steps=_UNCERTAIN, pseudo_labels=PseudoLabelsBy("confident")),
        Scenario(name="label-propagation", steps=_UNCERTAIN, pseudo_labels=PseudoLabelsBy("label_propagation")),
        Scenario(name="representative-only", steps=(Step(Ask.REPRESENTATIVES, _ALL),)),
    )
}
