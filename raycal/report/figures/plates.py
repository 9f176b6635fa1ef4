"""Builds the figures of a sweep: figures 2 and 3 of the paper, accuracy by cost, break-even and sensitivity."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from raycal.config.people import asks_people
from raycal.report.figures.break_even_chart import CAPTION, saving_charts
from raycal.report.figures.captions import best_settings, deviation, file_name
from raycal.report.figures.charts import (
    ACCURACY_LABEL,
    INTERACTIONS,
    ITERATION,
    Chart,
    Plate,
    Series,
    aligned,
    beyond,
    is_nearly_whole,
    series_of,
    series_so_far,
    supervised_level,
    with_shared_budget,
    zoom,
)
from raycal.report.figures.sensitivity import sensitivity
from raycal.report.figures.slices import Slice, datasets, of_dataset, slices, varied
from raycal.report.runs import Runs
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.curves import ACCURACY_KEY, Axis
from raycal.report.stats.guessing import highest

Average = Callable[..., Series | None]  # Either `series_of` or `series_so_far`.
ZOOMED = "First the whole range, then zoomed to where the scenarios differ."


def plates(runs: Runs, *, with_unfinished: bool = False) -> list[Plate]:
    """All figures that can be drawn from the finished trials, dataset by dataset.

    Args:
        runs: The trials.
        with_unfinished: Whether the lines of accuracy, cluster label error and cost also show the trials that have not
            finished, up to their last saved iteration. The other figures judge whole trials and never show unfinished
            ones.
    """
    drawn = []
    for dataset in datasets(runs):
        part = of_dataset(runs, dataset)
        shown = slices(so_far(part) if with_unfinished else part)
        average = series_so_far if with_unfinished else series_of
        figures = (figure2, figure3, cost)
        drawn += [*(figure(dataset, shown, average) for figure in figures), saving(dataset, part)]
        drawn += [sensitivity(dataset, part, key) for key in varied(part)]
    return [plate for plate in drawn if plate is not None]


def so_far(runs: Runs) -> Runs:
    """The runs, in which a trial that still runs counts as finished if it has saved an iteration."""
    return replace(
        runs,
        trials=tuple(
            replace(trial, status="finished")
            if trial.status == "unfinished" and trial.lines and not trial.is_removed
            else trial
            for trial in runs.trials
        ),
    )


def figure2(dataset: str, shown: Sequence[Slice], average: Average = series_of) -> Plate | None:
    """Test accuracy against interactions, first over the whole range, and then zoomed to the part in which the
    scenarios differ.

    The zoomed panels are left out if they show nearly the whole range. The axis ends with the shared budget, unless
    unfinished trials are shown, because an unfinished trial would cut the lines of all other trials.
    """
    charts = [_accuracy_by_interactions(part, average) for part in shown]
    if average is not series_so_far:
        charts = [with_shared_budget(chart) for chart in charts]
    charts = [chart for chart in charts if chart.series or chart.levels]
    zoomed = [zoom(chart) if chart.series else chart for chart in charts]
    pairs = list(zip(charts, zoomed, strict=True))
    if all(part is chart or is_nearly_whole(part, chart) for chart, part in pairs):
        rows: list[tuple[Chart, ...]] = [(chart,) for chart in charts]
        caption = ""
    else:
        rows = [(chart,) if part is chart else (chart, part) for chart, part in pairs]
        caption = ZOOMED
    caption = " ".join(filter(None, (caption, _cut_words([row[0] for row in rows]))))
    return _plate("figure2", dataset, "Test accuracy against interactions", caption, rows, shown)


def _accuracy_by_interactions(part: Slice, average: Average) -> Chart:
    """The panel with full supervision and guessing as horizontal lines."""
    trials = [*part.supervised, *(trial for group in part.groups for trial in group.finished)]
    return Chart(
        title=part.title,
        x_label=INTERACTIONS,
        y_label=ACCURACY_LABEL,
        series=_series(part, average, x="interactions", y=ACCURACY_KEY),
        levels=supervised_level(part.supervised),
        chance=highest(line for trial in trials for line in trial.lines),
        has_end_labels=True,
    )


def _cut_words(charts: Sequence[Chart]) -> str:
    """The sentence about the lines that continue beyond the end of the axis; empty if no line does."""
    longer = {series.label: None for chart in charts for series in beyond(chart)}
    if not longer:
        return ""
    go = "goes" if len(longer) == 1 else "go"
    return f"The axis ends with the interactions that all scenarios spent; {', '.join(longer)} {go} on."


def figure3(dataset: str, shown: Sequence[Slice], average: Average = series_of) -> Plate | None:
    """Cluster label error and annotated images by iteration, for the scenarios that form clusters."""
    rows: list[tuple[Chart, ...]] = []
    for part in shown:
        error = _series(part, average, x="iteration", y="cluster_label_error", y_scale=100, only_clusters=True)
        annotated = _series(part, average, x="iteration", y="annotated", only_clusters=True)
        if annotated:
            charts = (
                Chart(title=part.title, x_label=ITERATION, y_label="cluster label error (%)", series=error),
                Chart(title=part.title, x_label=ITERATION, y_label="annotated images", series=annotated),
            )
            rows.append(charts if error else charts[1:])
    caption = "The share of wrong labels in accepted clusters, and the number of images with a label, by iteration."
    return _plate("figure3", dataset, "Cluster label error and annotated images", caption, rows, shown)


def cost(dataset: str, shown: Sequence[Slice], average: Average = series_of) -> Plate | None:
    """Test accuracy against annotated images and against the hours of the expert."""
    axes: dict[str, Axis] = {"annotated images": "annotated", "human time (hours)": "human_hours"}
    rows = [
        tuple(
            Chart(
                title=part.title,
                x_label=x_label,
                y_label=ACCURACY_LABEL,
                series=_series(part, average, x=axis, y=ACCURACY_KEY),
                levels=supervised_level(part.supervised),
            )
            for x_label, axis in axes.items()
        )
        for part in shown
    ]
    by_people = any(asks_people(trial.config) for part in shown for group in part.groups for trial in group.finished)
    measured = "measured if people labeled, and otherwise " if by_people else ""
    caption = (
        "Annotated images have a label, right or wrong. There is one point per iteration, in the order of the "
        f"iterations. Human time is {measured}calculated from the costs in the settings of the expert."
    )
    drawn = [charts for charts in rows if all(chart.series for chart in charts)]
    return _plate("cost", dataset, "Test accuracy against images and hours", caption, drawn, shown)


def saving(dataset: str, runs: Runs) -> Plate | None:
    """The images that cluster annotation saves compared with single images, by the cost of a cluster."""
    rows = [charts for comparison in by_dataset(runs) if (charts := saving_charts(comparison))]
    return _plate("break_even", dataset, "What a cluster may cost", CAPTION, rows, [])


def _series(
    part: Slice, average: Average, *, x: Axis, y: str, y_scale: float = 1.0, only_clusters: bool = False
) -> tuple[Series, ...]:
    """The series of all groups in which the metric was measured."""
    series = [
        average(
            group.finished,
            group.scenario,
            f"{group.scenario} ({note})" if note else group.scenario,
            x=x,
            y=y,
            y_scale=y_scale,
        )
        for group, note in zip(part.groups, part.notes, strict=True)
        if not only_clusters or group.trials[0].config.resolved_scenario.forms_clusters
    ]
    return tuple(one for one in series if one is not None)


def _plate(
    kind: str,
    dataset: str,
    title: str,
    caption: str,
    rows: Sequence[tuple[Chart, ...]],
    shown: Sequence[Slice],
) -> Plate | None:
    """A figure whose panels share their axes, with a caption about settings and seeds. None if there is no panel."""
    if not rows:
        return None
    sentences = (caption, best_settings(shown), deviation([chart for row in rows for chart in row]))
    return Plate(
        name=file_name(kind, dataset),
        kind=kind,
        title=f"{dataset}: {title[0].lower()}{title[1:]}",
        caption=" ".join(filter(None, sentences)),
        rows=tuple(aligned(rows)),
    )
