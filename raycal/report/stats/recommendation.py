"""Finds the group that reaches a percentage of the accuracy of full supervision with the fewest interactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, Comparison, is_whole_pool
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.paired import paired_test
from raycal.report.stats.targets import Reached, reach

PERCENTS = (90, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The group to recommend for one target accuracy on one dataset.

    Attributes:
        percent: The target in percent of the accuracy of full supervision.
        accuracy: The target as an accuracy.
        group: The group that reaches the accuracy in all of its seeds with the fewest interactions on average; None if
            no group does.
        needed: The interactions that the group needs; None if there is no group.
        rivals: Other groups that reach the accuracy in all of their seeds and cannot be told apart from `group`,
            because the interval of the paired difference contains 0. They are ordered by their mean number of
            interactions, fewest first.
        num_reached: The number of groups that reach the accuracy in all of their seeds.
        random: The group with random labels that `group` is compared with; None if there is no such group, or if it is
            `group`.
        random_needed: The interactions that `random` needs, with None for each seed that does not reach the accuracy.
        closest: If no group reaches the accuracy in all of its seeds, the group that reaches it in the largest share of
            its seeds, with its interactions. None if no seed of any group reaches the accuracy.
    """

    percent: int
    accuracy: float
    group: Group | None = None
    needed: Reached | None = None
    rivals: tuple[Group, ...] = ()
    num_reached: int = 0
    random: Group | None = None
    random_needed: Reached | None = None
    closest: tuple[Group, Reached] | None = None


def recommend(comparison: Comparison) -> list[Recommendation]:
    """One recommendation per target, without the targets that guessing may reach; an empty list without full
    supervision."""
    full, level = full_accuracy(comparison), guessing_level(comparison)
    targets = [] if full is None else [(percent, percent / 100 * full) for percent in PERCENTS]
    return [_recommend(comparison, *target) for target in targets if not is_guessing(target[1], level)]


def full_accuracy(comparison: Comparison) -> float | None:
    """The accuracy of full supervision, at its best settings if it was run with several; None if no trial of it
    finished."""
    return _best_accuracy([group for group in comparison.groups if is_whole_pool(group)])


def goal(comparison: Comparison, percent: int) -> tuple[str, float | None]:
    """The target in words, and its accuracy.

    Without full supervision, the target is a percentage of the best final accuracy. The result is None if no trial
    finished.
    """
    reference, best = "full supervision", full_accuracy(comparison)
    if best is None:
        reference, best = "the best final accuracy", _best_accuracy(comparison.advisable)
    return f"{percent} % of {reference}", None if best is None else percent / 100 * best


def _recommend(comparison: Comparison, percent: int, accuracy: float) -> Recommendation:
    reached_by_group = [(group, reach(group, accuracy)) for group in comparison.advisable if group.finished]
    sure = sorted((pair for pair in reached_by_group if pair[1].by_all), key=lambda pair: _mean(pair[1]))
    if not sure:
        partly = [pair for pair in reached_by_group if pair[1].reached]
        closest = max(partly, key=lambda pair: pair[1].reached / len(pair[1].by_seed), default=None)
        return Recommendation(percent=percent, accuracy=accuracy, closest=closest)
    (group, needed), *others = sure
    random = comparison.condition_group_of(group).groups.get(RANDOM)
    if random is group or random is None or not random.finished:
        random = None
    return Recommendation(
        percent=percent,
        accuracy=accuracy,
        group=group,
        needed=needed,
        rivals=tuple(other for other, theirs in others if _is_unclear(needed, theirs)),
        num_reached=len(sure),
        random=random,
        random_needed=None if random is None else reach(random, accuracy),
    )


def _best_accuracy(groups: Sequence[Group]) -> float | None:
    """The highest mean final accuracy of the groups; None if no trial finished."""
    return max((estimated.mean for group in groups if (estimated := final_accuracies(group))), default=None)


def _mean(reached: Reached) -> float:
    return fmean(value for value in reached.by_seed.values() if value is not None)


def _is_unclear(ours: Reached, theirs: Reached) -> bool:
    """Whether the interval of the paired differences in interactions contains 0; False if there is no interval."""
    pairs = [(value, ours.by_seed.get(seed)) for seed, value in theirs.by_seed.items()]
    known = [(other, our) for other, our in pairs if other is not None and our is not None]
    difference = paired_test([other for other, _ in known], [our for _, our in known]).difference
    return difference is not None and difference.low is not None and difference.low <= 0
