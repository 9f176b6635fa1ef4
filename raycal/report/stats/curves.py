"""What a run measured, as a function of what it cost: linear between measured points, nothing beyond them."""

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
ACCURACY = "test_accuracy"
Lines = Iterable[Mapping[str, Any]]
Floats = npt.NDArray[np.float64]


class Measured(Protocol):
    """What has lines of results.jsonl, such as a trial."""

    @property
    def lines(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The measured points of a run.

    Attributes:
        interactions: (G,) ascending, each once.
        values: (G,) of a figure of results.jsonl.
    """

    interactions: Floats
    values: Floats

    def covers(self, low: float, high: float) -> bool:
        """Whether both ends lie between measured points."""
        return bool(self.interactions[0] <= low <= high <= self.interactions[-1])

    def at(self, interactions: float) -> float | None:
        """The figure after so many interactions; None outside the measured points."""
        if not self.covers(interactions, interactions):
            return None
        return float(np.interp(interactions, self.interactions, self.values))

    def mean_between(self, low: float, high: float) -> float | None:
        """The mean over a range of interactions by the trapezoid rule; None where it is not covered."""
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
    """The mean of n seeds at the interactions that one of them measured and all of them cover.

    Attributes:
        interactions: (G,).
        x: (G,) of the axis asked for: its mean over the seeds after so many interactions.
        mean: (G,).
        sd: (G,) sample standard deviation; None of one seed.
        low: (G,) lower end of the 95 % interval of the mean by Student's t; None of one seed. Of accuracies it is cut
            off at 0.
        high: (G,) its upper end; of accuracies it is cut off at 1.
    """

    n: int
    interactions: Floats
    x: Floats
    mean: Floats
    sd: Floats | None
    low: Floats | None
    high: Floats | None


def figure(line: Mapping[str, Any], key: str) -> float | None:
    """A figure of a line by its key in results.jsonl, or `human_hours`; None where it is undefined."""
    value: float | None = line["human_seconds" if key == "human_hours" else key]
    return value / 3600 if key == "human_hours" and value is not None else value


def curve(lines: Lines, metric: str = ACCURACY) -> Curve | None:
    """A figure against interactions; None when it was never measured. Of lines that cost nothing the last counts."""
    points = {line["interactions"]: value for line in lines if (value := figure(line, metric)) is not None}
    if not points:
        return None
    return Curve(interactions=np.array(list(points), np.float64), values=np.array(list(points.values()), np.float64))


def mean_curve(trials: Sequence[Measured], *, metric: str = ACCURACY, axis: Axis = "interactions") -> MeanCurve | None:
    """The mean over trials that differ by their seed alone; None when no budget is covered by all.

    Interactions alone grow in every iteration (clusters are given back, so annotated images may fall): seeds are taken
    together at the same interactions, and another axis only says where such a point is drawn. A trial in which the
    figure is never defined is left out; `n` counts the others.
    """
    drawn = [(found, curve(trial.lines, axis)) for trial in trials if (found := curve(trial.lines, metric))]
    shared = shared_range([found for found, _ in drawn])
    if shared is None:
        return None
    measured = np.unique(np.concatenate([found.interactions for found, _ in drawn]))
    budgets = measured[(measured >= shared[0]) & (measured <= shared[1])]
    values = np.stack([np.interp(budgets, found.interactions, found.values) for found, _ in drawn])
    x = np.stack([np.interp(budgets, along.interactions, along.values) for _, along in drawn if along is not None])
    ends = (0.0, 1.0) if metric == ACCURACY else (-np.inf, np.inf)
    n, mean = len(drawn), values.mean(axis=0)
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
    """The first and the last interaction that all curves cover; None when there is no such range."""
    if not curves:
        return None
    low = max(float(found.interactions[0]) for found in curves)
    high = min(float(found.interactions[-1]) for found in curves)
    return (low, high) if low <= high else None


def shared_budget(trials: Iterable[Trial]) -> tuple[float, float] | None:
    """The range of interactions that all trials measured accuracy over; what they are compared on."""
    return shared_range([found for trial in trials if (found := curve(trial.lines))])


def aubc_between(lines: Lines, low: float, high: float) -> float | None:
    """The area under the budget curve over a range of interactions; None where it is not covered."""
    found = curve(lines)
    return found.mean_between(low, high) if found else None


def final_accuracy(lines: Lines) -> float | None:
    """The last accuracy that was measured."""
    found = curve(lines)
    return float(found.values[-1]) if found else None


def interactions_to_reach(lines: Lines, accuracy: float) -> int | None:
    """After how many interactions the accuracy was first reached, rounded up; None: not reached."""
    at = reached_at(lines, accuracy)
    return None if at is None else round_up(at)


def reached_at(lines: Lines, accuracy: float) -> float | None:
    """After how many interactions the accuracy was first reached: linear between measured points.

    At most those of the first measured point when that has it already. None: not reached (censored at the last point).
    """
    points = [(line["interactions"], value) for line in lines if (value := figure(line, ACCURACY)) is not None]
    if points and reaches(points[0][1], accuracy):
        return float(points[0][0])
    for (begin, before), (end, after) in pairwise(points):
        if reaches(after, accuracy):
            # The share of the way is rounded above 1 where the accuracy is that of the second point.
            return float(begin + (end - begin) * min(1.0, (accuracy - before) / (after - before)))
    return None


def reaches_first(lines: Lines, accuracy: float) -> bool:
    """Whether the first measured point has the accuracy, so that fewer interactions may have been enough for it."""
    found = curve(lines)
    return found is not None and reaches(float(found.values[0]), accuracy)


def round_up(interactions: float) -> int:
    """The next whole number of interactions; what floats add to a whole one does not count."""
    return ceil(round(interactions, 6))
