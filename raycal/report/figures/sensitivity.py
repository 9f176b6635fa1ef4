"""Builds the figure of how much a numeric setting matters: AUBC and final accuracy by its value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raycal.config.labels import concerns, key_words, named_settings
from raycal.report.figures.captions import counts, file_name
from raycal.report.figures.charts import ACCURACY_LABEL, Chart, Level, Plate, Series, level_of, supervised_level
from raycal.report.figures.slices import scenarios, varied
from raycal.report.runs import Runs, Trial
from raycal.report.stats.curves import final_accuracy
from raycal.storage.results import area_under_budget_curve

MAX_JOINED = 8  # A line joins at most this many values. More values come from a search and are drawn as points.
MIN_LOGARITHMIC = 8.0  # The axis is logarithmic if the ratio of the largest to the smallest value is at least this.

Measure = Callable[[Trial], float | None]


def sensitivity(dataset: str, runs: Runs, key: str) -> Plate | None:
    """AUBC and final accuracy by the value of one setting; None unless finished trials have several numeric values."""
    trials = _select(runs, key)
    if len(trials.values) < 2:
        return None
    charts = (
        _chart(trials, "area under the budget curve", lambda trial: area_under_budget_curve(trial.lines)),
        _chart(
            trials,
            f"final {ACCURACY_LABEL}",
            lambda trial: final_accuracy(trial.lines),
            levels=supervised_level(trials.supervised),
        ),
    )
    if not any(chart.series for chart in charts):
        return None
    return Plate(
        name=file_name("sensitivity", key, dataset),
        kind="sensitivity",
        title=f"{dataset}: {key_words(key)}",
        caption=_caption(charts, [key_words(other) for other in varied(runs) if other != key]),
        rows=(charts,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trials:
    """The finished trials of a dataset, sorted by whether a setting affects them.

    Attributes:
        by_value: The trials that the setting affects, by scenario and value.
        unaffected: The trials of the scenarios that the setting does not affect, by scenario.
        supervised: The trials of full supervision.
    """

    key: str
    by_value: Mapping[str, Mapping[float, Sequence[Trial]]]
    unaffected: Mapping[str, Sequence[Trial]]
    supervised: Sequence[Trial]

    @property
    def values(self) -> list[float]:
        """All values of the setting, in ascending order."""
        return sorted({value for by_value in self.by_value.values() for value in by_value})


def _select(runs: Runs, key: str) -> _Trials:
    finished = [trial for trial in runs.trials if trial.status == "finished" and trial.lines]
    by_value: dict[str, dict[float, list[Trial]]] = {}
    unaffected: dict[str, list[Trial]] = {}
    for name in scenarios(runs):
        trials = [trial for trial in finished if trial.scenario == name and not _is_supervised(trial)]
        affected = [trial for trial in trials if concerns(trial.config, key)]
        if not affected:
            unaffected[name] = trials
        for trial in affected:
            if (value := _number(trial, key)) is not None:
                by_value.setdefault(name, {}).setdefault(value, []).append(trial)
    supervised = [trial for trial in finished if _is_supervised(trial)]
    return _Trials(key=key, by_value=by_value, unaffected=unaffected, supervised=supervised)


def _is_supervised(trial: Trial) -> bool:
    return trial.config.resolved_scenario.whole_pool


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


def _chart(trials: _Trials, y_label: str, measure: Measure, *, levels: Sequence[Level] = ()) -> Chart:
    """One panel: a series for each scenario that the setting affects, and a horizontal line for each other scenario."""
    values = trials.values
    is_joined = len(values) <= MAX_JOINED
    series = (_series(name, by_value, measure, is_joined=is_joined) for name, by_value in trials.by_value.items())
    flat = ((name, _measured(unaffected, measure)) for name, unaffected in trials.unaffected.items())
    return Chart(
        title="",
        x_label=_axis_label(trials.key),
        y_label=y_label,
        series=tuple(one for one in series if one is not None),
        levels=(*levels, *(level_of(name, measured) for name, measured in flat if measured)),
        ticks=tuple(values) if is_joined else (),
        is_log=values[0] > 0 and values[-1] / values[0] >= MIN_LOGARITHMIC,
    )


def _series(
    scenario: str, by_value: Mapping[float, Sequence[Trial]], measure: Measure, *, is_joined: bool
) -> Series | None:
    """The means of a measure by the value of the setting; None if no trial has the measure."""
    points = [
        (value, level_of(scenario, measured))
        for value, trials in sorted(by_value.items())
        if (measured := _measured(trials, measure))
    ]
    if not points:
        return None
    has_deviation = any(level.count > 1 for _, level in points)
    return Series(
        scenario=scenario,
        label=scenario,
        x=tuple(value for value, _ in points),
        mean=tuple(level.mean for _, level in points),
        std=tuple(level.std for _, level in points) if has_deviation else (),
        counts=tuple(level.count for _, level in points),
        is_joined=is_joined,
        is_band=False,
    )


def _measured(trials: Sequence[Trial], measure: Measure) -> list[float]:
    return [value for trial in trials if (value := measure(trial)) is not None]


def _axis_label(key: str) -> str:
    """The axis label of a setting, with its unit."""
    words = key_words(key)
    units = {
        "clustering.num_clusters": "clusters formed per step",
        "expert.purity_threshold": "purity threshold (share of the most frequent class)",
    }
    return units.get(key, f"{words.removeprefix('seconds ')} (s)" if words.startswith("seconds ") else words)


def _caption(charts: Sequence[Chart], other_settings: Sequence[str]) -> str:
    trials = f"Mean and standard deviation over all finished trials with this value ({counts(charts, 'trial')} each)"
    sentences = [
        f"{trials}, whatever their other settings: {', '.join(other_settings)}." if other_settings else f"{trials}.",
        "Area under the budget curve (AUBC): mean accuracy over the interactions spent.",
    ]
    if any(chart.levels for chart in charts):
        sentences.append("Horizontal lines: scenarios that the setting does not affect.")
    return " ".join(sentences)
