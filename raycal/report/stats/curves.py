"""Measured values of a run as functions of its cost. They are linear between measured points, and undefined beyond the
first and last one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from raycal.report.runs import Trial
from raycal.report.stats.estimate import t_quantile
from raycal.report.stats.rounding import reaches
from raycal.storage.results import area_under_budget_curve

Axis = Literal["interactions", "iteration", "annotated", "human_hours"]
ACCURACY_KEY = "test_accuracy"
Lines = Iterable[Mapping[str, Any]]
Floats = npt.NDArray[np.float64]


class Measured(Protocol):
    """An object with records of results.jsonl, such as a trial."""

    @property
    def lines(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The measured points of a run.

    Attributes:
        interactions: (G,) interactions spent, strictly ascending.
        values: (G,) values of one key of results.jsonl.
    """

    interactions: Floats
    values: Floats

    def covers(self, low: float, high: float) -> bool:
        """Whether both ends of the range lie within the measured points."""
        return bool(self.interactions[0] <= low <= high <= self.interactions[-1])

    def at(self, interactions: float) -> float | None:
        """The value after this number of interactions; None outside the measured points."""
        if not self.covers(interactions, interactions):
            return None
        return float(np.interp(interactions, self.interactions, self.values))

    def mean_between(self, low: float, high: float) -> float | None:
        """The mean over a range of interactions by the trapezoid rule; None if the curve does not cover the range."""
        if not self.covers(low, high):
            return None
        inside = (self.interactions > low) & (self.interactions < high)
        budgets = np.concatenate(([low], self.interactions[inside], [high]))
        values = np.interp(budgets, self.interactions, self.values)
        return area_under_budget_curve(
            {"interactions": float(budget), "test_accuracy": float(value)}
            for budget, value in zip(budgets, values, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCurve:
    """The mean over n seeds, at the interactions that at least one seed measured and all seeds cover.

    Attributes:
        n: The number of seeds.
        interactions: (G,) interactions spent.
        x: (G,) values of the requested axis: its mean over the seeds after these interactions.
        mean: (G,) means over the seeds.
        sd: (G,) sample standard deviations. None if there is one seed.
        low: (G,) lower ends of the 95 % interval of the mean by Student's t. None if there is one seed. For accuracies
            these ends are clipped at 0.
        high: (G,) upper ends of the interval; for accuracies these ends are clipped at 1.
    """

    n: int
    interactions: Floats
    x: Floats
    mean: Floats
    sd: Floats | None
    low: Floats | None
    high: Floats | None


def value_of(line: Mapping[str, Any], key: str) -> float | None:
    """The value of a record by its key in results.jsonl, or `human_hours`; None if it is undefined."""
    value: float | None = line["human_seconds" if key == "human_hours" else key]
    return value / 3600 if key == "human_hours" and value is not None else value


def curve_of(lines: Lines, metric: str = ACCURACY_KEY) -> Curve | None:
    """A metric against interactions. None if the metric was never measured.

    Of several records with the same number of interactions, the last one counts.
    """
    points = {line["interactions"]: value for line in lines if (value := value_of(line, metric)) is not None}
    if not points:
        return None
    return Curve(interactions=np.array(list(points), np.float64), values=np.array(list(points.values()), np.float64))


def mean_curve(
    trials: Sequence[Measured], *, metric: str = ACCURACY_KEY, axis: Axis = "interactions"
) -> MeanCurve | None:
    """The mean curve over trials that differ only in their seed; None if no budget is covered by all trials.

    Only interactions grow in every iteration; the number of annotated images may fall, because the labels of clusters
    are dropped after each iteration. Seeds are therefore averaged at equal interactions; another axis only decides
    where a point is drawn. Trials in which the metric is never defined are left out, and `n` does not count them.
    """
    with_axis = [(curve, curve_of(trial.lines, axis)) for trial in trials if (curve := curve_of(trial.lines, metric))]
    shared = shared_range([curve for curve, _ in with_axis])
    if shared is None:
        return None
    measured = np.unique(np.concatenate([curve.interactions for curve, _ in with_axis]))
    budgets = measured[(measured >= shared[0]) & (measured <= shared[1])]
    values = np.stack([np.interp(budgets, curve.interactions, curve.values) for curve, _ in with_axis])
    x = np.stack([np.interp(budgets, along.interactions, along.values) for _, along in with_axis if along is not None])
    ends = (0.0, 1.0) if metric == ACCURACY_KEY else (-np.inf, np.inf)
    n, mean = len(with_axis), values.mean(axis=0)
    sd = values.std(axis=0, ddof=1) if n > 1 else None
    half = None if sd is None else t_quantile(n) * sd / np.sqrt(n)
    return MeanCurve(
        n=n,
        interactions=budgets,
        x=x.mean(axis=0),
        mean=mean,
        sd=sd,
        low=None if half is None else np.clip(mean - half, *ends),
        high=None if half is None else np.clip(mean + half, *ends),
    )


def shared_range(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """The first and the last number of interactions that all curves cover. None if there is no such range."""
    if not curves:
        return None
    low = max(float(curve.interactions[0]) for curve in curves)
    high = min(float(curve.interactions[-1]) for curve in curves)
    return (low, high) if low <= high else None


def shared_budget(trials: Iterable[Trial]) -> tuple[float, float] | None:
    """The range of interactions over which all trials measured accuracy. The trials are compared over this range."""
    return shared_range([curve for trial in trials if (curve := curve_of(trial.lines))])


def aubc_between(lines: Lines, low: float, high: float) -> float | None:
    """The area under the budget curve over a range of interactions; None if the curve does not cover the range."""
    curve = curve_of(lines)
    return curve.mean_between(low, high) if curve else None


def final_accuracy(lines: Lines) -> float | None:
    """The last measured accuracy; None if no accuracy was measured."""
    curve = curve_of(lines)
    return float(curve.values[-1]) if curve else None


def interactions_to_reach(lines: Lines, accuracy: float) -> int | None:
    """The number of interactions after which the accuracy was first reached, rounded up. None if it was not reached."""
    at = reached_at(lines, accuracy)
    return None if at is None else round_up(at)


def reached_at(lines: Lines, accuracy: float) -> float | None:
    """The number of interactions after which the accuracy was first reached, interpolated linearly between measured
    points.

    If the first measured point already has the accuracy, its number of interactions is returned, which is an upper
    bound.
    The result is None if the accuracy was not reached (censored at the last point).
    """
    points = [(line["interactions"], value) for line in lines if (value := value_of(line, ACCURACY_KEY)) is not None]
    if points and reaches(points[0][1], accuracy):
        return float(points[0][0])
    for (begin, before), (end, after) in pairwise(points):
        if reaches(after, accuracy):
            # Rounding can push the interpolated share above 1 if the accuracy equals the accuracy of the second point.
            return float(begin + (end - begin) * min(1.0, (accuracy - before) / (after - before)))
    return None


def reaches_first(lines: Lines, accuracy: float) -> bool:
    """Whether the first measured point already has the accuracy, so that fewer interactions may have been enough."""
    curve = curve_of(lines)
    return curve is not None and reaches(float(curve.values[0]), accuracy)


def round_up(interactions: float) -> int:
    """The next whole number of interactions; a floating-point error on a whole number does not round it up."""
    return ceil(round(interactions, 6))
