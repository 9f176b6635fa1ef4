"""The cost of a cluster at which cluster annotation saves nothing; in the paper, a cluster costs as much as one
image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from raycal.algorithm.scenario import Ask
from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, Comparison, by_seed, is_whole_pool, same_seeds
from raycal.report.stats.curves import Lines, reached_at
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.recommendation import PERCENTS, goal
from raycal.report.stats.rounding import exact
from raycal.report.stats.targets import reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one seed of a group had spent when it reached an accuracy, and how much the other group needed for the same
    accuracy.

    Attributes:
        samples: Single images that the expert had been shown.
        clusters: Clusters that the expert had been shown.
        other: Images that the other group needed for the same accuracy.
    """

    samples: float
    clusters: float
    other: float

    @property
    def cost(self) -> float:
        """The cost of a cluster, in images, at which both groups spent the same.

        It is below 0 if the single images of the group alone cost more than the other group spent.
        """
        return (self.other - self.samples) / self.clusters

    def saving(self, cost: float) -> float:
        """The percentage of the other group's images that are saved if a cluster costs `cost` images."""
        return 100 * (1 - (self.samples + cost * self.clusters) / self.other)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The comparison of a group that shows clusters with a group that shows only single images, for one target
    accuracy.

    Attributes:
        target: The target accuracy in words.
        accuracy: The target accuracy as a number.
        against: The group that shows only single images.
        by_seed: The spending in each seed that both groups finished and in which the group reached the accuracy with
            clusters.
        of: The number of seeds that both groups finished.
        cost: The break-even cost of a cluster in images: the mean over `by_seed`. It has an interval only if `by_seed`
            holds all `of` seeds and the other group reached the accuracy in each. None if `by_seed` is empty.
        is_bound: Whether `cost` is a lower bound, because the other group did not reach the accuracy in every seed. For
            each seed in which it did not, everything that the other group spent is counted.
        at_first: Whether a seed of either group already had the accuracy at its first measured point, so that its
            spending is an upper bound.
    """

    target: str
    accuracy: float
    group: Group
    against: Group
    by_seed: tuple[Spent, ...]
    of: int
    cost: Estimate | None
    is_bound: bool
    at_first: bool


def break_even(comparison: Comparison) -> Iterator[BreakEven]:
    """Compare every group with clusters to the best group that shows only single images, and to `random`, for each
    target.

    Suppose that the group had shown s images and c clusters when it first reached the accuracy (linear between measured
    points), and the other group had shown n images. Then a cluster may cost (n - s) / c images. Neither run depends on
    the cost. Of the groups that reached the accuracy in the largest share of their seeds, the best group is the one
    that needs the fewest images on average. If no group reached it, the best group is the one with the highest final
    accuracy. The best group is chosen among the same runs that are compared. Targets that guessing may reach are left
    out.
    """
    level = guessing_level(comparison)
    for percent in PERCENTS:
        target, accuracy = goal(comparison, percent)
        if accuracy is None or is_guessing(accuracy, level):
            continue
        for group in comparison.advisable:
            if _shows_clusters(group):
                for other in _others(comparison, group, accuracy):
                    yield _against(group, other, target, accuracy)


def _against(group: Group, other: Group, target: str, accuracy: float) -> BreakEven:
    seeds, spent_by_seed, is_bound = same_seeds([group, other]), list[Spent](), False
    for seed in seeds:
        lines = by_seed(group)[seed].lines
        at, needed = reached_at(lines, accuracy), reached_at(by_seed(other)[seed].lines, accuracy)
        clusters = 0.0 if at is None else _clusters(lines, at)
        if at is None or not clusters:
            continue
        if needed is None:
            needed, is_bound = float(by_seed(other)[seed].lines[-1]["interactions"]), True
        spent_by_seed.append(Spent(samples=at - clusters, clusters=clusters, other=needed))
    cost = estimate([spent.cost for spent in spent_by_seed])
    return BreakEven(
        target=target,
        accuracy=accuracy,
        group=group,
        against=other,
        by_seed=tuple(spent_by_seed),
        of=len(seeds),
        cost=replace(cost, low=None, high=None) if cost and (is_bound or len(spent_by_seed) < len(seeds)) else cost,
        is_bound=is_bound,
        at_first=any(reach(each, accuracy).at_most for each in (group, other)),
    )


def _others(comparison: Comparison, group: Group, accuracy: float) -> Sequence[Group]:
    """The best group that shows only single images under the same settings as `group`, and `random`."""
    conditions = [
        condition for condition in comparison.condition_groups if condition.groups.get(group.scenario) is group
    ]
    singles = [
        other
        for condition in conditions
        for other in condition.groups.values()
        if not other.trials[0].config.resolved_scenario.forms_clusters
        and not other.is_bound
        and not is_whole_pool(other)
        and same_seeds([group, other])
    ]

    def rank(other: Group) -> tuple[float, float]:
        reached = [value for value in reach(other, accuracy).by_seed.values() if value is not None]
        final = final_accuracies(other)
        return -len(reached) / len(other.finished), fmean(reached) if reached else -exact(final.mean) if final else 0

    best = min(singles, key=rank, default=None)
    random = next((other for other in singles if other.scenario == RANDOM), None)
    return [other for other in (best, random if random is not best else None) if other is not None]


def _clusters(lines: Lines, interactions: float) -> float:
    """The number of clusters shown up to this number of interactions. The clusters of an iteration are assumed to be
    spread evenly over its interactions."""
    lines = list(lines)
    spent = [0, *(line["interactions"] for line in lines)]
    shown = np.cumsum([0, *(line["clusters_shown"] for line in lines)])
    return float(np.interp(interactions, spent, shown))


def _shows_clusters(group: Group) -> bool:
    return group.trials[0].config.resolved_scenario.asks(Ask.CLUSTERS)
