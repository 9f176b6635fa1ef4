"""Draws figure 2 of the paper, test accuracy by human interactions, in matplotlib axes of the caller."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pandas as pd

from raycal.api.results import SweepResults
from raycal.config.strict import did_you_mean
from raycal.errors import InputError
from raycal.report.figures.charts import ACCURACY_LABEL, INTERACTIONS, Chart, Level, Series, level_of, series_of, zoom
from raycal.report.stats.curves import ACCURACY_KEY
from raycal.report.stats.rounding import exact
from raycal.storage.results import area_under_budget_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE_SIZE = (5.0, 3.2)  # The size is in inches.
NEEDED = (
    *("id", "scenario", "dataset", "condition", "full_supervision", "upper_bound", "state"),
    *("interactions", "test_accuracy"),
)


def plot_accuracy(
    sweep: SweepResults | pd.DataFrame,
    ax: "Axes | None" = None,
    *,
    dataset: str | None = None,
    scenarios: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    zoomed: bool = False,
    legend: bool = True,
) -> "Axes":
    """Draw test accuracy by human interactions, which is figure 2 of the paper, in the style of the report.

    Each scenario is a line through the means over its finished seeds, with a band of one sample standard deviation.
    Full supervision is a horizontal line. If a scenario was run with several settings, the line shows the settings with
    the largest area under the budget curve, and its label names them. Some settings use true labels in a way that no
    person could. They are drawn only if the scenario was run with no other settings.

    Args:
        sweep: The results of a sweep, or rows of `SweepResults.results`, which may come from several sweeps.
        ax: The axes to draw in. None means the axes of a new figure.
        dataset: The dataset to draw; required if there are several.
        scenarios: The scenarios to draw. None means all scenarios.
        settings: Values of varied settings, such as `{"expert.purity_threshold": 0.8}`, to draw only the trials with
            these values. A trial whose results a setting cannot change is drawn whatever the value.
        zoomed: Whether to show only the range in which the scenarios differ.
        legend: Whether to add a legend to the axes.

    Returns:
        The axes, with interactions along x and accuracy (0 to 1) along y.

    Raises:
        InputError: No finished trial is left to draw, or a dataset, scenario or setting is unknown.

    Example:
        >>> ax = raycal.plot_accuracy(raycal.read_sweep("runs/digits"))
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('interactions (images or clusters shown)', 'test accuracy')
    """
    rows = sweep.results if isinstance(sweep, SweepResults) else sweep
    chart = _chart(_chosen(rows, dataset, scenarios, settings or {}))
    return _draw(zoom(chart) if zoomed else chart, ax, list(dict.fromkeys(rows["scenario"])), legend=legend)


@dataclass(frozen=True, slots=True)
class _Run:
    """The lines of one trial, in the form that the statistics of the report read."""

    lines: Sequence[Mapping[str, Any]]


def _chosen(
    rows: pd.DataFrame, dataset: str | None, scenarios: Sequence[str] | None, settings: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of the finished trials to draw.

    Raises:
        InputError: No finished trial is left to draw, or an argument of `plot_accuracy` cannot be used.
    """
    if not isinstance(rows, pd.DataFrame):
        raise InputError(f"sweep: should be SweepResults or rows of its results, not of type {type(rows).__name__}")
    columns = [str(name) for name in rows.columns]
    problems = [f"sweep: the column {name!r} is missing" for name in NEEDED if name not in columns]
    problems += [f"settings: {key!r}: no such column {did_you_mean(key, columns)}" for key in settings.keys() - columns]
    if problems:
        raise InputError(*problems)
    problems = _unknown("dataset", [] if dataset is None else [dataset], rows["dataset"])
    problems += _unknown("scenarios", scenarios or (), rows["scenario"])
    if problems:
        raise InputError(*problems)
    kept = rows[rows["test_accuracy"].notna() & (rows["state"] == "finished")]
    if dataset is not None:
        kept = kept[kept["dataset"] == dataset]
    if scenarios is not None:
        kept = kept[kept["scenario"].isin(list(scenarios))]
    for key, value in settings.items():
        kept = kept[kept[key].isna() | (kept[key] == value)]
    if kept.empty:
        raise InputError("there is nothing to draw: none of the requested trials has finished")
    datasets = list(dict.fromkeys(kept["dataset"]))
    if len(datasets) > 1:
        raise InputError(
            f"dataset: should be one of {', '.join(map(repr, datasets))}, because accuracies on them differ"
        )
    return kept


def _unknown(what: str, asked: Sequence[str], known: pd.Series) -> list[str]:
    names = list(map(str, dict.fromkeys(known)))
    if isinstance(asked, str):
        return [f"{what}: should be a list of names, not the text {asked!r}"]
    return [f"{what}: there is no {name!r} {did_you_mean(str(name), names)}" for name in asked if name not in names]


def _chart(rows: pd.DataFrame) -> Chart:
    """The chart in the form of the report: one series or horizontal level for each scenario."""
    series: list[Series] = []
    levels: list[Level] = []
    for name, part in rows.groupby("scenario", sort=False):
        scenario = str(name)
        label, best = _best_condition(part)
        runs = _runs(best)
        if best["full_supervision"].all():
            levels.append(level_of(scenario, [run.lines[-1][ACCURACY_KEY] for run in runs]))
            continue
        if part["condition"].nunique() == 1:
            label = scenario
        if (line := series_of(runs, scenario, label, x="interactions", y=ACCURACY_KEY)) is not None:
            series.append(line)
    return Chart(title="", x_label=INTERACTIONS, y_label=ACCURACY_LABEL, series=tuple(series), levels=tuple(levels))


def _best_condition(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """The condition of a scenario with the largest area under the budget curve, and its rows.

    A condition that is an upper bound is chosen only if all conditions are upper bounds.
    """
    possible = rows[~rows["upper_bound"].astype(bool)]
    parts = {str(name): part for name, part in (rows if possible.empty else possible).groupby("condition", sort=False)}
    best = max(parts, key=lambda name: _mean_area(_runs(parts[name])))
    return best, parts[best]


def _runs(rows: pd.DataFrame) -> list[_Run]:
    """The trials that the rows belong to; a trial that is in two sweeps counts once."""
    points = rows.drop_duplicates(["id", "interactions"], keep="last").sort_values("interactions", kind="stable")
    return [
        _Run([{"interactions": float(spent), "test_accuracy": float(accuracy)} for spent, accuracy in _points(part)])
        for _, part in points.groupby("id", sort=False)
    ]


def _points(rows: pd.DataFrame) -> Iterator[tuple[float, float]]:
    return zip(rows["interactions"], rows["test_accuracy"], strict=True)


def _mean_area(runs: Sequence[_Run]) -> float:
    """The mean area under the budget curve, rounded so that equal areas are equal."""
    return exact(fmean(area_under_budget_curve(run.lines) or 0.0 for run in runs))


def _draw(chart: Chart, ax: "Axes | None", scenarios: Sequence[str], *, legend: bool) -> "Axes":
    from matplotlib import pyplot

    from raycal.report.figures.drawing import draw_chart, drawing, legend_handles
    from raycal.report.figures.style import looks

    is_new = ax is None
    look = looks(scenarios)
    with drawing(text_as_paths=False):
        if ax is None:
            ax = pyplot.subplots(figsize=FIGURE_SIZE, layout="constrained")[1]
        draw_chart(replace(chart, title=ax.get_title()), ax, look)
    if legend:
        handles = legend_handles([chart], look)
        # Axes that the caller passed keep the caller's fonts.
        with drawing(text_as_paths=False) if is_new else nullcontext():
            ax.legend(handles=list(handles.values()), labels=list(handles), frameon=False)
    return ax
