"""Compares two groups seed by seed: differences with intervals, tests, and Holm's correction over all pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import sqrt
from statistics import fmean
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from raycal.report.runs import Group
from raycal.report.stats.comparison import Comparison, by_seed
from raycal.report.stats.curves import Curve, curve_of, shared_range
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.rounding import exact

Metric = Literal["AUBC", "accuracy"]
METRICS: tuple[Metric, ...] = ("AUBC", "accuracy")
ALPHA = 0.05
MAX_ENUMERATED = 13  # Up to this number of pairs, the exact distribution of Wilcoxon's statistic is enumerated.


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Paired tests of whether two groups differ, over n pairs of values. An undefined test is None.

    Attributes:
        difference: The mean of the differences, first minus second. None if there is no pair.
        cohens_dz: The mean difference divided by the standard deviation of the differences.
        t_p: The p-value of the two-sided paired t-test.
        wilcoxon_p: The p-value of the two-sided Wilcoxon signed-rank test without zero differences; exact up to 13
            pairs, also with ties.
        note: Why a test is undefined or cannot be significant; empty otherwise.
    """

    difference: Estimate | None
    cohens_dz: float | None
    t_p: float | None
    wilcoxon_p: float | None
    note: str

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.difference.n if self.difference else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two groups of a dataset, compared over the seeds that both finished and the interactions that their trials share.

    Attributes:
        metric: The AUBC over the shared interactions, or the accuracy at their end.
        budget: The first and the last shared number of interactions; None if the trials share no interactions.
        first_mean: The first group's mean over the paired seeds. None if there is no such seed.
        second_mean: The second group's mean over the paired seeds. None if there is no such seed.
        t_p_holm: The p-value of the t-test, corrected over all pairs of the dataset in this metric.
        wilcoxon_p_holm: The p-value of the Wilcoxon test, corrected in the same way.
    """

    metric: Metric
    first: Group
    second: Group
    seeds: tuple[int, ...]
    budget: tuple[float, float] | None
    first_mean: float | None
    second_mean: float | None
    test: PairedTest
    t_p_holm: float | None
    wilcoxon_p_holm: float | None


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare two groups by their values per seed; both sequences have the same order of seeds."""
    # Rounding removes floating-point errors, so that equal differences are ties.
    differences = np.array([exact(ours - theirs) for ours, theirs in zip(first, second, strict=True)], np.float64)
    difference = estimate(differences.tolist())
    if difference is None:
        return PairedTest(difference=None, cohens_dz=None, t_p=None, wilcoxon_p=None, note="no seed in common")
    if difference.sd is None:
        return PairedTest(difference=difference, cohens_dz=None, t_p=None, wilcoxon_p=None, note="one seed: no test")
    wilcoxon = _wilcoxon(differences)
    if np.ptp(differences) == 0:
        note = (
            f"the same difference in all {difference.n} seeds: no t-test" if difference.mean else "equal in every seed"
        )
        return PairedTest(
            difference=difference, cohens_dz=None, t_p=None if difference.mean else 1.0, wilcoxon_p=wilcoxon, note=note
        )
    least = 2.0 ** (1 - difference.n)
    return PairedTest(
        difference=difference,
        cohens_dz=difference.mean / difference.sd,
        t_p=float(2 * stdtr(difference.n - 1, -abs(difference.mean) * sqrt(difference.n) / difference.sd)),
        wilcoxon_p=wilcoxon,
        note=f"{difference.n} seeds: Wilcoxon's p is at least {least:.3g}" if least > ALPHA else "",
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Apply Holm's step-down correction (1979) to the defined p-values; undefined ones stay None.

    The tests of raycal compare this function with statsmodels, which is too large (65 MB) to be required for this
    function alone.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[index] = largest
    return corrected


def pairwise(comparison: Comparison, metric: Metric) -> list[Pair]:
    """Compare every pair of groups of a dataset, without full supervision. Holm's correction is applied to all pairs in
    one metric together."""
    groups = [group for group in comparison.candidates if group.finished]
    curves = [
        {seed: curve for seed, trial in by_seed(group).items() if (curve := curve_of(trial.lines))} for group in groups
    ]
    sides = list(zip(groups, curves, strict=True))
    compared = [_compare(metric, first, second) for first, second in combinations(sides, 2)]
    t_ps = holm([pair.test.t_p for pair in compared])
    wilcoxon_ps = holm([pair.test.wilcoxon_p for pair in compared])
    return [
        replace(pair, t_p_holm=t_p, wilcoxon_p_holm=wilcoxon_p)
        for pair, t_p, wilcoxon_p in zip(compared, t_ps, wilcoxon_ps, strict=True)
    ]


def _compare(metric: Metric, *sides: tuple[Group, Mapping[int, Curve]]) -> Pair:
    """Compare two groups, each with its curves by seed, without Holm's correction."""
    (first, _), (second, _) = sides
    seeds = sorted(set.intersection(*(set(curves) for _, curves in sides)))
    budget = shared_range([curves[seed] for _, curves in sides for seed in seeds])
    ours, theirs = ([_value(curves[seed], metric, budget) for seed in seeds] if budget else [] for _, curves in sides)
    test = paired_test(ours, theirs)
    if test.difference is not None:
        # Accuracies lie between 0 and 1, so two accuracies differ by at most 1.
        test = replace(test, difference=test.difference.within(-1.0, 1.0))
    if seeds and budget is None:
        test = replace(test, note="their trials share no interactions")
    return Pair(
        metric=metric,
        first=first,
        second=second,
        seeds=tuple(seeds),
        budget=budget,
        first_mean=fmean(ours) if ours else None,
        second_mean=fmean(theirs) if theirs else None,
        test=test,
        t_p_holm=None,
        wilcoxon_p_holm=None,
    )


def _value(curve: Curve, metric: Metric, budget: tuple[float, float]) -> float:
    """The compared value of a trial whose curve covers the budget: its AUBC or its accuracy at the end."""
    value = curve.mean_between(*budget) if metric == "AUBC" else curve.at(budget[1])
    assert value is not None
    return value


def _wilcoxon(differences: npt.NDArray[np.float64]) -> float:
    """The two-sided p-value of the signed-rank test.

    Up to 13 pairs, all combinations of signs are enumerated, because tables of the exact distribution are wrong with
    ties. `scipy.stats.wilcoxon` also enumerates all combinations and gives the same p-values, but a hundred times more
    slowly.
    """
    differing = differences[differences != 0]
    if len(differing) > MAX_ENUMERATED:
        from scipy import stats  # This module is slow to import.

        return float(stats.wilcoxon(differing).pvalue)
    _, place, counts = np.unique(np.abs(differing), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # Ties share the mean of their ranks.
    signs = np.array(list(product((-1, 1), repeat=len(ranks))))
    sums = np.abs(signs @ ranks)
    return float(np.mean(sums >= abs(ranks @ np.sign(differing))))
