"""Finds the highest accuracy that at least two strategies reached, and compares the interactions they needed for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean

from raycal.report.runs import Group
from raycal.report.stats.at_budget import Curves, finished_curves
from raycal.report.stats.comparison import Comparison, by_seed, same_seeds
from raycal.report.stats.curves import interactions_to_reach
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.rounding import reaches
from raycal.report.stats.targets import Reached, reach


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonAccuracy:
    """Two groups that reached the same accuracy in each of their seeds.

    Attributes:
        accuracy: The highest accuracy that groups of two different scenarios reached. In a sweep of one scenario, the
            two groups may have the same scenario.
        fewest: The group that needed the fewest interactions on average.
        other: The group of another scenario that needed the fewest interactions. In a sweep of one scenario, it may
            have the same scenario.
        fewest_needed: The interactions that `fewest` needed.
        other_needed: The interactions that `other` needed.
        factor: How many times as many interactions `other` needed: the geometric mean over the seeds that both
            finished, with an interval by Student's t on the logarithms. None if they finished no seed in common, or if
            `is_unknown`.
        is_unknown: Whether `other` had the accuracy at its first evaluation in any seed, so that it may need fewer
            interactions than `fewest`.
    """

    accuracy: float
    fewest: Group
    other: Group
    fewest_needed: Reached
    other_needed: Reached
    factor: Estimate | None
    is_unknown: bool

    @property
    def is_unclear(self) -> bool:
        """Whether the interval contains 1, so that the two groups cannot be told apart."""
        return self.factor is not None and self.factor.low is not None and self.factor.low <= 1


def common_accuracy(comparison: Comparison) -> CommonAccuracy | None:
    """Compare the interactions that two strategies needed for the highest accuracy that at least two strategies
    reached.

    The result is None if fewer than two strategies finished, or if guessing may reach the accuracy too.
    """
    curves = finished_curves(comparison.advisable)
    groups = [group for group in comparison.advisable if group.label in curves]
    highest = {group.label: _highest_in_every_seed(curves[group.label]) for group in groups}
    is_one_scenario = len({group.scenario for group in groups}) == 1

    def strategy(group: Group) -> str:
        return group.label if is_one_scenario else group.scenario

    by_strategy: dict[str, float] = {}
    for group in groups:
        by_strategy[strategy(group)] = max(highest[group.label], by_strategy.get(strategy(group), 0.0))
    if len(by_strategy) < 2:
        return None
    accuracy = sorted(by_strategy.values())[-2]
    if is_guessing(accuracy, guessing_level(comparison)):
        return None
    needed = {group.label: reach(group, accuracy) for group in groups if reaches(highest[group.label], accuracy)}
    first, *rest = sorted(
        (group for group in groups if group.label in needed), key=lambda one: _mean(needed[one.label])
    )
    second = next(group for group in rest if strategy(group) != strategy(first))
    seeds, is_unknown = same_seeds([first, second]), needed[second.label].at_most
    return CommonAccuracy(
        accuracy=accuracy,
        fewest=first,
        other=second,
        fewest_needed=needed[first.label],
        other_needed=needed[second.label],
        factor=None if is_unknown else _factor(first, second, accuracy, seeds),
        is_unknown=is_unknown,
    )


def _highest_in_every_seed(curves: Curves) -> float:
    """The highest accuracy that every seed reached."""
    return min(float(curve.values.max()) for curve in curves.values())


def _mean(reached: Reached) -> float:
    return fmean(value for value in reached.by_seed.values() if value is not None)


def _factor(fewest: Group, other: Group, accuracy: float, seeds: Sequence[int]) -> Estimate | None:
    ours, theirs = (_needed(group, accuracy) for group in (fewest, other))
    logs = estimate([log(theirs[seed] / ours[seed]) for seed in seeds if ours[seed] and theirs[seed]])
    if logs is None:
        return None
    low, high = (None if end is None else exp(end) for end in (logs.low, logs.high))
    return Estimate(n=logs.n, mean=exp(logs.mean), sd=logs.sd, low=low, high=high)


def _needed(group: Group, accuracy: float) -> Mapping[int, float]:
    return {seed: interactions_to_reach(trial.lines, accuracy) or 0 for seed, trial in by_seed(group).items()}
