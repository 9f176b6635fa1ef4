"""The data of the figures: panels with one series per scenario. Nothing in this module draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from raycal.report.runs import Trial
from raycal.report.stats.curves import Axis, Measured, curve_of, final_accuracy, mean_curve

ACCURACY_LABEL = "test accuracy"
ITERATION = "iteration"
INTERACTIONS = "interactions (images or clusters shown)"
NEARLY = 0.75  # A zoomed panel that shows at least this share of the whole range adds nothing to the whole panel.


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Means over seeds.

    Attributes:
        label: The scenario, and its setting if the panel does not name it.
        x: The x coordinates of the points.
        mean: The mean at each point.
        std: The standard deviation (n - 1) at each point; empty if there is only one seed.
        counts: The number of trials in each mean.
        is_joined: Whether a line joins the points.
        is_band: Whether the standard deviation is drawn as a band; otherwise each point has a bar.
        low, high: The ends of an interval at each point, which are drawn instead of a standard deviation; empty if the
        points have no interval.
    """

    scenario: str
    label: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: tuple[int, ...]
    is_joined: bool = True
    is_band: bool = True
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A value that does not depend on x, drawn as a horizontal line.

    Attributes:
        mean: The mean over the trials.
        std: The standard deviation (n - 1); 0 if there is only one trial.
        count: The number of trials.
    """

    scenario: str
    mean: float
    std: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One panel.

    Attributes:
        x_range, y_range: The limits of the axes. None means limits within which everything that is drawn fits.
        ticks: The positions of the ticks on the x axis; if empty, they are chosen automatically.
        is_log: Whether x is logarithmic.
        chance: The highest accuracy that guessing reaches, drawn as a horizontal line; None if it is not drawn.
        has_end_labels: Whether the lines are named at their ends.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    is_log: bool = False
    chance: float | None = None
    has_end_labels: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """A figure: rows of panels.

    Attributes:
        name: The name of the figure's files, without extension.
        kind: `figure2`, `figure3`, `cost`, `break_even` or `sensitivity`.
    """

    name: str
    kind: str
    title: str
    caption: str
    rows: tuple[tuple[Chart, ...], ...]


def series_of(
    trials: Sequence[Measured], scenario: str, label: str, *, x: Axis, y: str, y_scale: float = 1.0
) -> Series | None:
    """The series of a metric of results.jsonl, averaged over trials with different seeds; None if the metric was not
    measured.

    Args:
        trials: Trials that differ by their seed alone.
        scenario: The scenario of the trials.
        label: The text in the legend.
        x: The key of the x coordinates.
        y: The key of the metric.
        y_scale: The factor by which the metric is multiplied.
    """
    curve = mean_curve(trials, metric=y, axis=x)
    if curve is None:
        return None
    return Series(
        scenario=scenario,
        label=label,
        x=tuple(curve.x.tolist()),
        mean=tuple((curve.mean * y_scale).tolist()),
        std=() if curve.sd is None else tuple((curve.sd * y_scale).tolist()),
        counts=(curve.n,) * len(curve.x),
        is_band=x != "annotated",  # The number of annotated images may fall, and a band would then cross itself.
    )


def series_so_far(
    trials: Sequence[Measured], scenario: str, label: str, *, x: Axis, y: str, y_scale: float = 1.0
) -> Series | None:
    """The series of a metric, as in `series_of`, but also of trials that still run; None if the metric was not
    measured.

    Each point is the mean over the seeds that have reached it, so that the line does not end where the slowest seed is.
    The standard deviation of a single seed is 0 here.
    """
    curves = [
        (curve, along)
        for trial in trials
        if (curve := curve_of(trial.lines, y)) is not None and (along := curve_of(trial.lines, x)) is not None
    ]
    points = []
    for budget in sorted({budget for curve, _ in curves for budget in curve.interactions.tolist()}):
        measured = [(along.at(budget), curve.at(budget)) for curve, along in curves]
        covering = [(at, value * y_scale) for at, value in measured if at is not None and value is not None]
        points.append(tuple(zip(*covering, strict=True)))
    if not points:
        return None
    counts = tuple(len(values) for _, values in points)
    deviations = tuple(float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for _, values in points)
    return Series(
        scenario=scenario,
        label=label,
        x=tuple(float(np.mean(at)) for at, _ in points),
        mean=tuple(float(np.mean(values)) for _, values in points),
        std=deviations if max(counts) > 1 else (),
        counts=counts,
        is_band=x != "annotated",
    )


def supervised_level(trials: Sequence[Trial]) -> tuple[Level, ...]:
    """The level of the accuracy of full supervision; empty if no trial measured it."""
    accuracies = [accuracy for trial in trials if (accuracy := final_accuracy(trial.lines)) is not None]
    return (level_of(trials[0].scenario, accuracies),) if accuracies else ()


def level_of(scenario: str, values: Sequence[float]) -> Level:
    """The level with the mean and standard deviation of the values; there must be at least one value."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Level(scenario=scenario, mean=float(np.mean(values)), std=std, count=len(values))


def zoom(chart: Chart) -> Chart:
    """Zoom to the upper right of a panel, where all curves end.

    The x range begins where the first curve reaches the lowest final value minus its deviation and a margin.
    """
    seen = [part for series in chart.series if (part := _until(series, chart.x_range)) is not None]
    if not seen:
        return chart
    low = min(series.mean[-1] - (series.std[-1] if series.std else 0) for series in seen)
    high = max(top for series in seen for top in _tops(series))
    top = max((level.mean + level.std for level in chart.levels), default=high)
    if high < top <= high + max(high - low, 0.02):  # The range includes full supervision if it is close to the curves.
        high = top
    margin = max(0.06 * (high - low), 0.002)
    low, high = low - margin, high + margin
    begin = min(_passes(series, low) for series in seen)
    end = max(series.x[-1] for series in seen)
    if begin == end:
        return chart
    pad = 0.04 * (end - begin)
    return replace(chart, x_range=(begin - pad, end + pad), y_range=(low, high), chance=None, has_end_labels=False)


def with_shared_budget(chart: Chart) -> Chart:
    """End the x axis where the shortest line ends, because a much longer line would squeeze the other lines.

    Lines with a single point count only if there are no other lines.
    """
    lines = [series for series in chart.series if len(series.x) > 1]
    if not lines:
        return chart
    begin = min(series.x[0] for series in lines)
    end = min(series.x[-1] for series in lines)
    if begin >= end:
        return chart
    pad = 0.03 * (end - begin)
    return replace(chart, x_range=(begin - pad, end + pad))


def beyond(chart: Chart) -> list[Series]:
    """The series of a panel that continue to the right of its axes."""
    return [series for series in chart.series if chart.x_range and series.x[-1] > chart.x_range[1]]


def _until(series: Series, x_range: tuple[float, float] | None) -> Series | None:
    """The points of a series up to the end of the axes; None if there are no such points."""
    count = sum(x_range is None or x <= x_range[1] for x in series.x)
    if not count:
        return None
    cut = {name: getattr(series, name)[:count] for name in ("x", "mean", "std", "counts")}
    return replace(series, **cut)


def is_nearly_whole(part: Chart, chart: Chart) -> bool:
    """Whether a zoomed panel shows most of the whole panel in both directions, so that it adds nothing."""
    return all(
        inner_high - inner_low >= NEARLY * (high - low)
        for (inner_low, inner_high), (low, high) in zip(_extent(part), _extent(chart), strict=True)
    )


def aligned(rows: Sequence[tuple[Chart, ...]]) -> list[tuple[Chart, ...]]:
    """Give all panels of a column the same axis ranges, so that rows can be compared by eye."""
    if len(rows) < 2:
        return list(rows)
    ranges = {}
    for column in range(max(map(len, rows))):
        extents = [_extent(row[column]) for row in rows if column < len(row)]
        ranges[column] = [
            (min(extent[axis][0] for extent in extents), max(extent[axis][1] for extent in extents)) for axis in (0, 1)
        ]
    return [
        tuple(replace(chart, x_range=ranges[column][0], y_range=ranges[column][1]) for column, chart in enumerate(row))
        for row in rows
    ]


def _extent(chart: Chart) -> list[tuple[float, float]]:
    """The ranges of x and y; ranges that come from the data get a margin."""
    xs = [x for series in chart.series for x in series.x]
    ys = [y for series in chart.series for y in (*_tops(series), *_tops(series, -1))]
    ys += [level.mean + sign * level.std for level in chart.levels for sign in (-1, 1)]
    ys += [] if chart.chance is None else [chart.chance]
    fixed = (chart.x_range, chart.y_range)
    return [
        _with_margin(values or [0.0]) if limits is None else limits
        for limits, values in zip(fixed, (xs, ys), strict=True)
    ]


def _with_margin(values: Sequence[float]) -> tuple[float, float]:
    margin = 0.05 * (max(values) - min(values)) or 0.5
    return min(values) - margin, max(values) + margin


def _tops(series: Series, sign: int = 1) -> list[float]:
    """The means plus one standard deviation, or minus one with `sign` -1."""
    return [mean + sign * std for mean, std in zip(series.mean, series.std or [0.0] * len(series.mean), strict=True)]


def _passes(series: Series, height: float) -> float:
    """The x at which a curve first reaches a height; its last x if it never does."""
    if series.mean[0] >= height:
        return series.x[0]
    for (x0, y0), (x1, y1) in pairwise(zip(series.x, series.mean, strict=True)):
        if y1 >= height:
            return x0 + (x1 - x0) * (height - y0) / (y1 - y0)
    return series.x[-1]
