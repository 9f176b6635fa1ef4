"""Ranks the strategies of a dataset by their accuracy after the largest number of interactions that all of them
made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from scipy.special import stdtrit

from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, Comparison, by_seed
from raycal.report.stats.curves import Curve, curve_of, shared_range
from raycal.report.stats.estimate import CONFIDENCE, Estimate, estimate
from raycal.report.stats.rounding import exact

Curves = Mapping[int, Curve]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A group and its accuracy at the budget, over the compared seeds."""

    group: Group
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much more accurate the winner is than another group.

    Attributes:
        over: The other group.
        difference: The accuracy of the winner minus the accuracy of the other group. It has no interval if one of the
            two groups has only one compared seed.
    """

    over: Group
    difference: Estimate

    @property
    def has_interval(self) -> bool:
        """Whether there are enough seeds for an interval."""
        return self.difference.low is not None

    @property
    def is_unclear(self) -> bool:
        """Whether the interval contains 0, so that the two groups cannot be told apart."""
        return self.difference.low is not None and self.difference.low <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AtBudget:
    """The ranking of the groups that people can follow, at the budget that all of their finished trials have in common.

    Attributes:
        budget: The number of interactions.
        is_end_of_all: Whether every finished trial ended at the budget.
        seeds: The compared seeds if all groups are compared over the same seeds. None means that each group is compared
            over all of its own finished seeds.
        all_seeds: Whether `seeds` are all finished seeds of each group.
        ranking: The groups, the most accurate first; groups that are equally accurate are in the order of the plan.
        margins: How much more accurate the winner is than each other group, in the order of the ranking.
        random: The group with random labels that has the settings of the winner or, if there is no such group, the most
            accurate group with random labels. None if no group with random labels has finished.
    """

    budget: float
    is_end_of_all: bool
    seeds: tuple[int, ...] | None
    all_seeds: bool
    ranking: tuple[Standing, ...]
    margins: tuple[Margin, ...]
    random: Group | None

    @property
    def winner(self) -> Standing:
        """The most accurate group."""
        return self.ranking[0]

    @property
    def tied(self) -> tuple[Group, ...]:
        """The other groups with exactly the accuracy of the winner."""
        best = exact(self.winner.accuracy.mean)
        return tuple(one.group for one in self.ranking[1:] if exact(one.accuracy.mean) == best)

    @property
    def main_margins(self) -> tuple[Margin, ...]:
        """The margins that the answer names.

        These are the margins over the runner-up, over the best group of another scenario, and over random labels.
        """
        others = [margin.over for margin in self.margins]
        named = others[:1]
        named += [group for group in others if group.scenario != self.winner.group.scenario][:1]
        named += [self.random] if self.random is not None and self.random is not self.winner.group else []
        return tuple(margin for margin in self.margins if any(margin.over is group for group in named))


def at_budget(comparison: Comparison) -> AtBudget | None:
    """Rank the groups of a dataset at their common budget.

    The result is None if no trial has finished, or if one group ended before another one was first evaluated.
    """
    curves = finished_curves(comparison.advisable)
    every = [curve for by_seed_ in curves.values() for curve in by_seed_.values()]
    shared = shared_range(every)
    if shared is None:
        return None
    budget = shared[1]
    seeds = _compared_seeds(list(curves.values()))
    groups = {group.label: group for group in comparison.advisable}
    values = {
        label: {seed: _at(curve, budget) for seed, curve in own.items() if seeds is None or seed in seeds}
        for label, own in curves.items()
    }
    means = {label: fmean(own.values()) for label, own in values.items()}
    first, *others = sorted(means, key=lambda label: -exact(means[label]))
    ranking = [Standing(group=groups[label], accuracy=_accuracy(values[label])) for label in (first, *others)]
    return AtBudget(
        budget=budget,
        is_end_of_all=all(float(curve.interactions[-1]) == budget for curve in every),
        seeds=seeds,
        all_seeds=seeds is not None and all(set(own) == set(seeds) for own in curves.values()),
        ranking=tuple(ranking),
        margins=tuple(
            Margin(
                over=groups[label], difference=_difference(values[first], values[label], is_paired=seeds is not None)
            )
            for label in others
        ),
        random=_random(comparison, [one.group for one in ranking]),
    )


def finished_curves(groups: Sequence[Group]) -> dict[str, Curves]:
    """The accuracy curves of the finished trials, by the group's label and the seed. Groups without a finished trial
    are left out."""
    curves = {
        group.label: {seed: curve for seed, trial in by_seed(group).items() if (curve := curve_of(trial.lines))}
        for group in groups
    }
    return {label: own for label, own in curves.items() if own}


def _compared_seeds(groups: Sequence[Curves]) -> tuple[int, ...] | None:
    """The seeds over which all groups are compared. None means that each group is compared over its own seeds.

    These are the seeds that all groups finished, because a comparison seed by seed is the most exact. If there are
    fewer than two such seeds and each group has several seeds, the groups are compared without pairing the seeds.
    """
    common = sorted(set.intersection(*map(set, groups)))
    if len(common) >= 2 or (common and any(len(own) == 1 for own in groups)):
        return tuple(common)
    return None


def _difference(first: Mapping[int, float], second: Mapping[int, float], *, is_paired: bool) -> Estimate:
    """The mean difference with its 95 % interval, by Student's t if paired by seed, otherwise by Welch's t."""
    if is_paired:
        paired = estimate([exact(first[seed] - second[seed]) for seed in first])
        assert paired is not None
        return paired.within(-1.0, 1.0)
    ours, theirs = _accuracy(first), _accuracy(second)
    n, mean = min(ours.n, theirs.n), exact(ours.mean - theirs.mean)
    if ours.sd is None or theirs.sd is None:
        return Estimate(n=n, mean=mean, sd=None, low=None, high=None)
    errors = [one.sd**2 / one.n for one in (ours, theirs) if one.sd is not None]
    total = sum(errors)
    if not total:
        return Estimate(n=n, mean=mean, sd=None, low=mean, high=mean)
    freedom = total**2 / sum(error**2 / (one.n - 1) for error, one in zip(errors, (ours, theirs), strict=True))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(total)
    return Estimate(n=n, mean=mean, sd=None, low=mean - half, high=mean + half).within(-1.0, 1.0)


def _accuracy(by_seed_: Mapping[int, float]) -> Estimate:
    estimated = estimate(list(by_seed_.values()))
    assert estimated is not None
    return estimated.within(0.0, 1.0)


def _at(curve: Curve, budget: float) -> float:
    value = curve.at(budget)
    assert value is not None
    return value


def _random(comparison: Comparison, ranking: Sequence[Group]) -> Group | None:
    """The group with random labels that the winner, which is the first of the ranking, is compared with."""
    own = comparison.condition_group_of(ranking[0]).groups.get(RANDOM)
    if any(group is own for group in ranking):
        return own
    return next((group for group in ranking if group.scenario == RANDOM), None)
