"""How many interactions a group needs for a target accuracy, and how many times more random sampling needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, floor, log

from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, SUPERVISED, Comparison, by_seed, is_whole_pool, same_seeds
from raycal.report.stats.curves import Lines, final_accuracy, interactions_to_reach, reaches_first, round_up
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.group_figures import final_accuracies
from raycal.report.stats.guessing import highest, is_guessing

# Percent of the accuracy of full supervision.
TARGETS = (90, 95, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Whether and when the finished seeds of a group reached an accuracy.

    Attributes:
        by_seed: Interactions; None: not reached.
        estimate: Over the seeds that reached it, in whole interactions: the mean rounded up, the interval outwards, and
            never below 0. The interval is left out unless all did, as it would say too little.
        at_most: Whether a seed had it at its first measured point already, so that the interactions are an upper bound.
    """

    accuracy: float
    by_seed: dict[int, int | None]
    estimate: Estimate | None
    at_most: bool

    @property
    def reached(self) -> int:
        """How many seeds reached it."""
        return sum(value is not None for value in self.by_seed.values())

    @property
    def by_all(self) -> bool:
        """Whether there is a seed and every one reached it."""
        return self.reached == len(self.by_seed) > 0


def reach(group: Group, accuracy: float) -> Reached:
    """When the finished seeds of a group reached an accuracy."""
    trials = by_seed(group)
    found = {seed: interactions_to_reach(trial.lines, accuracy) for seed, trial in trials.items()}
    return Reached(
        accuracy=accuracy,
        by_seed=found,
        estimate=_whole(_of_reached(list(found.values()))),
        at_most=any(reaches_first(trial.lines, accuracy) for trial in trials.values()),
    )


def full_supervision(group: Group, comparison: Comparison) -> Estimate | None:
    """The final accuracy of full supervision with the group's dataset and training; None when it was not run."""
    supervised = comparison.setting_of(group).groups.get(SUPERVISED)
    return final_accuracies(supervised) if supervised else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """How many times more interactions random sampling needs than a group, above 1 when the group needs fewer.

    Attributes:
        of: Seeds that both groups finished.
        ratio: Geometric mean over the seeds in which it is known; its interval, by Student's t on the logarithms, is
            left out unless it is known in all. It is unknown where the group did not reach random's accuracy, where
            both had it at their first evaluation, and where it cannot be told from guessing. `sd` is that of the
            logarithms.
        both_at_first: Seeds in which both had the accuracy at their first evaluation.
        guessed: Seeds in which the accuracy cannot be told from guessing.
    """

    of: int
    ratio: Estimate | None
    both_at_first: int
    guessed: int = 0


def label_efficiency(group: Group, comparison: Comparison) -> Efficiency | None:
    """The data efficiency of Mussmann and Liang (ICML 2018), in interactions.

    None when `random` was not run with these settings, of `random` itself, and of full supervision.

    Of each seed: the interactions after which `random` first had its own final accuracy, divided by the interactions
    after which the group first had it.
    """
    random = comparison.setting_of(group).groups.get(RANDOM)
    if random is None or random is group or is_whole_pool(group):
        return None
    seeds = same_seeds([group, random])
    pairs = [(by_seed(random)[seed].lines, by_seed(group)[seed].lines) for seed in seeds]
    ratios = [_ratio(*pair) for pair in pairs]
    found = _of_reached([None if ratio is None else log(ratio) for ratio in ratios])
    return Efficiency(
        of=len(seeds),
        ratio=found
        and Estimate(
            n=found.n,
            mean=exp(found.mean),
            sd=found.sd,
            low=None if found.low is None else exp(found.low),
            high=None if found.high is None else exp(found.high),
        ),
        both_at_first=sum(_both_at_first(*pair) and not _guesses(pair[0]) for pair in pairs),
        guessed=sum(_guesses(lines) for lines, _ in pairs),
    )


def both_reach_first(first: Lines, second: Lines, accuracy: float) -> bool:
    """Whether both had the accuracy at their first evaluation, so that nobody knows which of them needed less."""
    return reaches_first(first, accuracy) and reaches_first(second, accuracy)


def _both_at_first(random: Lines, other: Lines) -> bool:
    accuracy = final_accuracy(random)
    return accuracy is not None and both_reach_first(random, other, accuracy)


def _guesses(random: Lines) -> bool:
    """Whether the final accuracy of `random` cannot be told from guessing."""
    lines = list(random)
    accuracy = final_accuracy(lines)
    return accuracy is not None and is_guessing(accuracy, highest(lines))


def _ratio(random: Lines, other: Lines) -> float | None:
    """How many times more interactions `random` needs in one seed; None where it is unknown."""
    accuracy = final_accuracy(random)
    if accuracy is None or _both_at_first(random, other) or _guesses(random):
        return None
    needed, by_random = interactions_to_reach(other, accuracy), interactions_to_reach(random, accuracy)
    return by_random / needed if needed and by_random else None


def _whole(found: Estimate | None) -> Estimate | None:
    """In whole interactions."""
    if found is None or found.low is None or found.high is None:
        return found and replace(found, mean=round_up(found.mean))
    return replace(found, mean=round_up(found.mean), low=max(0, floor(found.low)), high=round_up(found.high))


def _of_reached(values: Sequence[float | None]) -> Estimate | None:
    """The estimate of those that are there, without an interval unless all are."""
    reached = [value for value in values if value is not None]
    found = estimate(reached)
    if found is None or len(reached) == len(values):
        return found
    return replace(found, low=None, high=None)
