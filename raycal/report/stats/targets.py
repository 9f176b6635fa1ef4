"""The interactions that a group needs for a target accuracy, and how many times more random sampling needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, floor, log

from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, SUPERVISED, Comparison, by_seed, is_whole_pool, same_seeds
from raycal.report.stats.curves import Lines, final_accuracy, interactions_to_reach, reaches_first, round_up
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import highest, is_guessing

# Target accuracies in percent of the accuracy of full supervision.
TARGETS = (90, 95, 99, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Whether and when the finished seeds of a group reached an accuracy.

    Attributes:
        accuracy: The target accuracy.
        by_seed: The number of interactions that each seed needed. None if it did not reach the accuracy.
        estimate: The estimate over the seeds that reached the accuracy, in whole interactions. The mean is rounded up,
            and the interval is rounded outwards but never below 0. There is no interval unless all seeds reached the
            accuracy, because an interval over only some of the seeds would be too low.
        at_most: Whether a seed already had the accuracy at its first measured point, so that the number of interactions
            is an upper bound.
    """

    accuracy: float
    by_seed: dict[int, int | None]
    estimate: Estimate | None
    at_most: bool

    @property
    def reached(self) -> int:
        """The number of seeds that reached the accuracy."""
        return sum(value is not None for value in self.by_seed.values())

    @property
    def by_all(self) -> bool:
        """Whether there is at least one seed and every seed reached the accuracy."""
        return self.reached == len(self.by_seed) > 0


def reach(group: Group, accuracy: float) -> Reached:
    """Compute when the finished seeds of a group reached an accuracy."""
    trials = by_seed(group)
    needed = {seed: interactions_to_reach(trial.lines, accuracy) for seed, trial in trials.items()}
    return Reached(
        accuracy=accuracy,
        by_seed=needed,
        estimate=_whole(_of_reached(list(needed.values()))),
        at_most=any(reaches_first(trial.lines, accuracy) for trial in trials.values()),
    )


def full_supervision(group: Group, comparison: Comparison) -> Estimate | None:
    """The final accuracy of full supervision with the group's dataset and training; None if it was not run."""
    supervised = comparison.condition_group_of(group).groups.get(SUPERVISED)
    return final_accuracies(supervised) if supervised else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The number of interactions that random sampling needs, divided by the number that a group needs. The ratio is
    above 1 if the group needs fewer.

    Attributes:
        of: The number of seeds that both groups finished.
        ratio: The geometric mean of the ratio over the seeds in which it is known. The interval, by Student's t on the
            logarithms, is left out unless the ratio is known in all seeds. The ratio is unknown in three cases: the
            group did not reach the accuracy of `random`, both groups had this accuracy at their first evaluation, or
            the accuracy cannot be distinguished from guessing. `sd` is the standard deviation of the logarithms.
        both_at_first: The number of seeds in which both groups had the accuracy at their first evaluation.
        guessed: The number of seeds in which the accuracy cannot be distinguished from guessing.
    """

    of: int
    ratio: Estimate | None
    both_at_first: int
    guessed: int = 0


def label_efficiency(group: Group, comparison: Comparison) -> Efficiency | None:
    """The data efficiency of Mussmann and Liang (ICML 2018), in interactions.

    In each seed, it is the number of interactions after which `random` first had its own final accuracy, divided by the
    number after which the group first had that accuracy.

    The result is None for `random` itself, for full supervision, and if `random` was not run with these settings.
    """
    random = comparison.condition_group_of(group).groups.get(RANDOM)
    if random is None or random is group or is_whole_pool(group):
        return None
    seeds = same_seeds([group, random])
    pairs = [(by_seed(random)[seed].lines, by_seed(group)[seed].lines) for seed in seeds]
    ratios = [_ratio(*pair) for pair in pairs]
    log_ratio = _of_reached([None if ratio is None else log(ratio) for ratio in ratios])
    return Efficiency(
        of=len(seeds),
        ratio=log_ratio
        and Estimate(
            n=log_ratio.n,
            mean=exp(log_ratio.mean),
            sd=log_ratio.sd,
            low=None if log_ratio.low is None else exp(log_ratio.low),
            high=None if log_ratio.high is None else exp(log_ratio.high),
        ),
        both_at_first=sum(_both_at_first(*pair) and not _guesses(pair[0]) for pair in pairs),
        guessed=sum(_guesses(lines) for lines, _ in pairs),
    )


def both_reach_first(first: Lines, second: Lines, accuracy: float) -> bool:
    """Whether both runs had the accuracy at their first evaluation, so that it is unknown which of them needed fewer
    interactions."""
    return reaches_first(first, accuracy) and reaches_first(second, accuracy)


def _both_at_first(random: Lines, other: Lines) -> bool:
    accuracy = final_accuracy(random)
    return accuracy is not None and both_reach_first(random, other, accuracy)


def _guesses(random: Lines) -> bool:
    """Whether the final accuracy of `random` cannot be distinguished from guessing."""
    lines = list(random)
    accuracy = final_accuracy(lines)
    return accuracy is not None and is_guessing(accuracy, highest(lines))


def _ratio(random: Lines, other: Lines) -> float | None:
    """The interactions of `random` divided by the interactions of the group, in one seed. None if the ratio is
    unknown."""
    accuracy = final_accuracy(random)
    if accuracy is None or _both_at_first(random, other) or _guesses(random):
        return None
    needed, by_random = interactions_to_reach(other, accuracy), interactions_to_reach(random, accuracy)
    return by_random / needed if needed and by_random else None


def _whole(interactions: Estimate | None) -> Estimate | None:
    """Round an estimate to whole interactions: the mean is rounded up, and the interval is rounded outwards but never
    below 0."""
    if interactions is None or interactions.low is None or interactions.high is None:
        return interactions and replace(interactions, mean=round_up(interactions.mean))
    return replace(
        interactions,
        mean=round_up(interactions.mean),
        low=max(0, floor(interactions.low)),
        high=round_up(interactions.high),
    )


def _of_reached(values: Sequence[float | None]) -> Estimate | None:
    """The estimate over the values that are not None; it has no interval if any value is None."""
    reached = [value for value in values if value is not None]
    estimated = estimate(reached)
    if estimated is None or len(reached) == len(values):
        return estimated
    return replace(estimated, low=None, high=None)
