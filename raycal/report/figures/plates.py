"""Builds the figures of a sweep: figures 2 and 3 of the paper, accuracy by cost, break-even and sensitivity."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from raycal.config.labels import concerns, key_words, named_settings
from raycal.report.figures.break_even_chart import CAPTION, saving_charts
from raycal.report.figures.charts import (
    ACCURACY_LABEL,
    INTERACTIONS,
    ITERATION,
    Chart,
    Level,
    Plate,
    Series,
    aligned,
    is_nearly_whole,
    level,
    series_of,
    supervised_level,
    zoom,
)
from raycal.report.figures.slices import Slice, datasets, of_dataset, scenarios, slices, varied
from raycal.report.runs import Group, Runs, Trial
from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.curves import final_accuracy
from raycal.storage.results import area_under_budget_curve

JOINED = 8  # largest number of values of a setting that a line joins; more come from a search and stay points
LOGARITHMIC = 8.0  # a setting's axis is logarithmic from this ratio of largest to smallest value


def plates(runs: Runs) -> list[Plate]:
    """All figures that can be drawn from the finished trials, dataset by dataset."""
    drawn = []
    for dataset in datasets(runs):
        part = of_dataset(runs, dataset)
        shown = slices(part)
        drawn += [figure2(dataset, shown), figure3(dataset, shown), cost(dataset, shown), saving(dataset, part)]
        drawn += [sensitivity(dataset, part, key) for key in varied(part)]
    return [plate for plate in drawn if plate is not None]


def figure2(dataset: str, shown: list[Slice]) -> Plate | None:
    """Test accuracy against interactions: the whole range, and zoomed to where the scenarios differ.

    The zoomed panels are left out if they show nearly the whole range.
    """
    charts: list[Chart] = []
    for part in shown:
        chart = Chart(
            title=part.title,
            x_label=INTERACTIONS,
            y_label=ACCURACY_LABEL,
            series=_series(part, lambda group, label: series_of(group, label, x="interactions", y="test_accuracy")),
            levels=supervised_level(part.supervised),
        )
        if chart.series or chart.levels:
            charts.append(chart)
    parts = [zoom(chart) if chart.series else chart for chart in charts]
    whole = all(part is chart or is_nearly_whole(part, chart) for part, chart in zip(parts, charts, strict=True))
    rows: list[tuple[Chart, ...]] = []
    rows += [(chart,) if whole or part is chart else (chart, part) for part, chart in zip(parts, charts, strict=True)]
    caption = "" if whole else "First the whole range, then zoomed to where the scenarios differ."
    return _plate("figure2", dataset, "Test accuracy against interactions", caption, rows, shown)


def figure3(dataset: str, shown: list[Slice]) -> Plate | None:
    """Cluster label error and annotated images by iteration, for the scenarios that form clusters."""
    rows: list[tuple[Chart, ...]] = []
    for part in shown:
        error = _series(
            part,
            lambda group, label: series_of(group, label, x="iteration", y="cluster_label_error", y_scale=100),
            only_clusters=True,
        )
        annotated = _series(
            part, lambda group, label: series_of(group, label, x="iteration", y="annotated"), only_clusters=True
        )
        if annotated:
            charts = (
                Chart(title=part.title, x_label=ITERATION, y_label="cluster label error (%)", series=error),
                Chart(title=part.title, x_label=ITERATION, y_label="annotated images", series=annotated),
            )
            rows.append(charts if error else charts[1:])
    caption = "Share of images in accepted clusters that got a wrong label, and images with a label, by iteration."
    return _plate("figure3", dataset, "Cluster label error and annotated images", caption, rows, shown)


def cost(dataset: str, shown: list[Slice]) -> Plate | None:
    """Test accuracy against annotated images and against the hours of the expert."""
    rows: list[tuple[Chart, ...]] = []
    for part in shown:
        annotated = _series(part, lambda group, label: series_of(group, label, x="annotated", y="test_accuracy"))
        hours = _series(part, lambda group, label: series_of(group, label, x="human_hours", y="test_accuracy"))
        levels = supervised_level(part.supervised)
        if annotated and hours:
            rows.append(
                (
                    Chart(
                        title=part.title,
                        x_label="annotated images",
                        y_label=ACCURACY_LABEL,
                        series=annotated,
                        levels=levels,
                    ),
                    Chart(
                        title=part.title,
                        x_label="human time (hours)",
                        y_label=ACCURACY_LABEL,
                        series=hours,
                        levels=levels,
                    ),
                )
            )
    caption = (
        "Annotated images: with a label, right or wrong; one point per iteration, in the order of the iterations. "
        "Human time: of the expert, by the cost model of the settings."
    )
    return _plate("cost", dataset, "Test accuracy against images and hours", caption, rows, shown)


def saving(dataset: str, runs: Runs) -> Plate | None:
    """The images that cluster annotation saves compared with single images, by the cost of a cluster."""
    rows = [charts for comparison in by_dataset(runs) if (charts := saving_charts(comparison))]
    return _plate("break_even", dataset, "What a cluster may cost", CAPTION, rows, [])


def sensitivity(dataset: str, runs: Runs, key: str) -> Plate | None:
    """AUBC and final accuracy by the value of one setting; None unless finished trials have several numeric values."""
    finished = [trial for trial in runs.trials if trial.status == "finished" and trial.lines]
    asking = [trial for trial in finished if not trial.config.resolved_scenario.whole_pool]
    concerned = [trial for trial in asking if concerns(trial.config, key)]
    values = sorted({number for trial in concerned if (number := _number(trial, key)) is not None})
    if len(values) < 2:
        return None
    few = len(values) <= JOINED

    def chart(y_label: str, measure: Callable[[Trial], float | None], levels: tuple[Level, ...]) -> Chart:
        series, flat = [], list(levels)
        for name in scenarios(runs):
            trials = [trial for trial in asking if trial.scenario == name]
            if trials and concerns(trials[0].config, key):
                series += _over_values(trials, key, measure, is_joined=few)
            else:
                flat += level(name, [value for trial in trials if (value := measure(trial)) is not None])
        return Chart(
            title="",
            x_label=_label(key),
            y_label=y_label,
            series=tuple(series),
            levels=tuple(flat),
            ticks=tuple(values) if few else (),
            is_log=values[0] > 0 and values[-1] / values[0] >= LOGARITHMIC,
        )

    bound = [trial for trial in finished if trial.config.resolved_scenario.whole_pool]
    charts = (
        chart("area under the budget curve", lambda trial: area_under_budget_curve(trial.lines), ()),
        chart(f"final {ACCURACY_LABEL}", lambda trial: final_accuracy(trial.lines), supervised_level(bound)),
    )
    if not any(one.series for one in charts):
        return None
    others = [key_words(other) for other in varied(runs) if other != key]
    caption = f"Mean and standard deviation over all finished trials with the value ({_counts(charts, 'trial')} each)"
    caption += f", whatever their {' and '.join(others)}." if others else "."
    caption += " Area under the budget curve (AUBC): mean accuracy over the interactions spent."
    if any(one.levels for one in charts):
        caption += " Level lines: scenarios that the setting does not concern."
    return Plate(
        name=_file_name("sensitivity", key, dataset),
        kind="sensitivity",
        title=f"{dataset}: {key_words(key)}",
        caption=caption,
        rows=(charts,),
    )


def _series(
    part: Slice, make: Callable[[Group, str], Series | None], *, only_clusters: bool = False
) -> tuple[Series, ...]:
    """The series of all groups for which `make` returns one."""

    def made() -> Iterator[Series | None]:
        for group, note in zip(part.groups, part.notes, strict=True):
            if not only_clusters or group.trials[0].config.resolved_scenario.forms_clusters:
                yield make(group, f"{group.scenario} ({note})" if note else group.scenario)

    return tuple(series for series in made() if series is not None)


def _over_values(
    trials: list[Trial], key: str, measure: Callable[[Trial], float | None], *, is_joined: bool
) -> list[Series]:
    """The series of a measure of one scenario by the value of a setting."""
    by_value: dict[float, list[float]] = {}
    for trial in trials:
        value, measured = _number(trial, key), measure(trial)
        if value is not None and measured is not None:
            by_value.setdefault(value, []).append(measured)
    if not by_value:
        return []
    scenario = trials[0].scenario
    xs = sorted(by_value)
    levels = [level(scenario, by_value[x])[0] for x in xs]
    return [
        Series(
            scenario=scenario,
            label=scenario,
            x=tuple(xs),
            mean=tuple(one.mean for one in levels),
            std=tuple(one.std for one in levels) if any(one.count > 1 for one in levels) else (),
            counts=tuple(one.count for one in levels),
            is_joined=is_joined,
            is_band=False,
        )
    ]


def _number(trial: Trial, key: str) -> float | None:
    """The value of a numeric setting; None if it is not a number.

    If the number of clusters is not set, it is the budget of the step that shows clusters.
    """
    config = trial.config
    value: Any = named_settings(config).get(key)
    if key == "clustering.num_clusters" and value is None:
        budgets = zip(
            config.resolved_scenario.steps,
            config.resolved_scenario.budgets(config.interactions_per_iteration),
            strict=True,
        )
        return float(max((budget for step, budget in budgets if step.asks_clusters), default=0)) or None
    return float(value) if type(value) in (int, float) else None


def _label(key: str) -> str:
    """The axis label of a setting, with its unit."""
    words = key_words(key)
    units = {
        "clustering.num_clusters": "clusters formed per step",
        "expert.purity_threshold": "purity threshold (share of the most frequent class)",
    }
    return units.get(key, f"{words.removeprefix('seconds ')} (s)" if words.startswith("seconds ") else words)


def _plate(
    kind: str, dataset: str, title: str, caption: str, rows: list[tuple[Chart, ...]], shown: list[Slice]
) -> Plate | None:
    if not rows:
        return None
    if any(part.is_best_of_each for part in shown):
        best = "; ".join(
            f"{group.scenario}: {note}"
            for part in shown
            for group, note in zip(part.groups, part.notes, strict=True)
            if note
        )
        caption += f" Each scenario at the setting with its largest area under the budget curve ({best}), chosen among "
        caption += "these same runs, which favours scenarios with more settings."
    seeds = _counts([chart for row in rows for chart in row], "seed")
    deviation = f" Lines: means over {seeds}; bands and bars: one standard deviation."
    if seeds == "1 seed":
        deviation = " One seed, so no deviation is known."
    return Plate(
        name=_file_name(kind, dataset),
        kind=kind,
        title=f"{dataset}: {title[0].lower()}{title[1:]}",
        caption=(caption + deviation).strip(),
        rows=tuple(aligned(rows)),
    )


def _counts(charts: Sequence[Chart], noun: str) -> str:
    """The number of runs in the means, as in `3 seeds` or `2 to 3 seeds`."""
    counts = {count for chart in charts for series in chart.series for count in series.counts}
    counts |= {level.count for chart in charts for level in chart.levels}
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} {noun}{'' if high == 1 else 's'}"


def _file_name(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", "_".join(parts))
