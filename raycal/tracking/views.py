"""Builds the views that MLflow opens a sweep with: one line per condition, against the number of human interactions.

MLflow keeps a shared view in a tag of the experiment, `mlflow.sharedViewState.<key>`, which holds the state of MLflow's
page as JSON. An address with `viewStateShareKey=<key>` opens the view. The state has the form that MLflow 3.17 uses. A
server of another version may ignore the tag.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from raycal.config import ExperimentConfig
from raycal.config.labels import PURITY_THRESHOLD, key_words, setting_values, varied_settings
from raycal.tracking.names import Names
from raycal.tracking.tags import ACCEPTANCE, CONDITION, DATASET_LABEL

TAG = "mlflow.sharedViewState."
ACCURACY = "test_accuracy"
# The metrics that have a chart against interactions.
METRICS = (ACCURACY, "annotated", "cluster_label_error", ACCEPTANCE)
LEGEND_CHARACTERS = 130  # MLflow cuts the legend of a chart off after two lines.
# The names of collapsed groups may have this many characters; MLflow accepts 20,000 characters in the whole tag.
MAX_COLLAPSED = 8000


class View(NamedTuple):
    """A view of a sweep's charts.

    Attributes:
        key: The key in the address, unique in the MLflow experiment.
        title: What the view shows, in words.
        state: The state of MLflow's page, as JSON.
    """

    key: str
    title: str
    state: str

    @property
    def tag(self) -> str:
        """The key of the experiment's tag that holds the view."""
        return TAG + self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartedTrial:
    """The data of a trial from which the views are made.

    Attributes:
        config: The trial's configuration.
        names: The trial's names in the sweep.
        end: The number of interactions at which the trial ended; None if it has not finished.
    """

    config: ExperimentConfig
    names: Names
    end: int | None

    @property
    def budget(self) -> int:
        """The number of interactions at the end of the trial, or the planned number while it has not finished."""
        return self.end or self.config.iterations * self.config.interactions_per_iteration


def sweep_views(prefix: str, parent_run_id: str, trials: Sequence[ChartedTrial]) -> list[View]:
    """The views of a sweep: a view of all trials; a view per dataset if there are several; and a view per varied
    setting if several settings vary.

    Args:
        prefix: The beginning of the key of every view; it must be unique in the MLflow experiment.
        parent_run_id: The id of the sweep's run, whose child runs are shown.
        trials: All trials of the sweep.
    """
    of_sweep = f"tags.`mlflow.parentRunId` = {_quoted(parent_run_id)}"
    views = [View(prefix, "all trials", _state(of_sweep, trials))]
    datasets = dict.fromkeys(trial.names.dataset_label for trial in trials)
    for dataset in datasets if len(datasets) > 1 else ():
        chosen = [trial for trial in trials if trial.names.dataset_label == dataset]
        search = f"{of_sweep} AND tags.`{DATASET_LABEL}` = {_quoted(str(dataset))}"
        views.append(View(f"{prefix}-dataset-{_slug(str(dataset))}", f"dataset {dataset}", _state(search, chosen)))
    keys = varied_settings([trial.config for trial in trials])
    for key in keys:
        words = key_words(key) if [key_words(other) for other in keys].count(key_words(key)) == 1 else key
        chosen = [trial for trial in trials if setting_values(trial.config, [key])]
        search = f"{of_sweep} AND tags.`{CONDITION}` LIKE {_quoted(f'%{words} %')}"
        state = _state(search, chosen, _parameter(chosen, key))
        views.append(View(f"{prefix}-setting-{_slug(words)}", f"setting {words}", state))
    return _with_unique_keys(views)


def _with_unique_keys(views: Sequence[View]) -> list[View]:
    """Number the keys that would otherwise be equal because datasets or settings have similar names."""
    seen: dict[str, int] = {}
    unique = []
    for view in views:
        seen[view.key] = number = seen.get(view.key, 0) + 1
        unique.append(view if number == 1 else view._replace(key=f"{view.key}-{number}"))
    return unique


def _parameter(trials: Sequence[ChartedTrial], key: str) -> str | None:
    """The MLflow parameter that holds a setting in all of the trials; None if there is no such parameter, or if it is
    not a number."""
    found = {trial.config.purity_threshold_key if key == PURITY_THRESHOLD else key for trial in trials}
    values = [trial.config.flat().get(str(name)) for trial in trials for name in found]
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return str(found.pop()) if len(found) == 1 and are_numbers else None


class _Part(NamedTuple):
    """A section of the page, with its charts side by side."""

    title: str
    charts: list[dict[str, Any]]
    columns: int
    height: int

    def section(self, uuid: str) -> dict[str, Any]:
        """The section in MLflow's state, without the charts."""
        return {
            "uuid": uuid,
            "name": self.title,
            "display": True,
            "isReordered": False,
            "columns": self.columns,
            "cardHeight": self.height,
        }


def _state(search: str, trials: Sequence[ChartedTrial], parameter: str | None = None) -> str:
    """The state of MLflow's page with one line per condition.

    Args:
        search: The filter of MLflow that finds the trials.
        trials: The trials that it finds.
        parameter: A numeric parameter, or None. The values at the end of the trials are also drawn against it.
    """
    end, count = _end_of_axis(trials), len(trials)
    lines = [_line(metric, end, count) for metric in METRICS]
    parts = [_Part("Mean accuracy by human interactions", lines[:1], columns=1, height=400)]
    parts.append(_Part("More by human interactions", lines[1:], columns=3, height=320))
    if parameter is None:
        parts.append(_Part("Mean accuracy at the end", [_bar(ACCURACY, count)], columns=1, height=360))
    else:
        dots = [_scatter(metric, parameter, count) for metric in METRICS]
        parts.insert(0, _Part(f"At the end, by {key_words(parameter)}", dots, columns=2, height=360))
    conditions = list(dict.fromkeys(str(trial.names.condition) for trial in trials))
    groups = [f"tag.{CONDITION}.{condition}" for condition in conditions]
    ends = accumulate(map(len, groups))
    state = {
        "searchFilter": search,
        # MLflow loads 100 runs at first. Because the runs are sorted by seed, these 100 have equally many seeds of each
        # condition.
        "orderByKey": "tags.`seed`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": CONDITION}]},
        # Each group is one row of the run list.
        "groupsExpanded": {group: False for group, end in zip(groups, ends, strict=True) if end <= MAX_COLLAPSED},
        "useGroupedValuesInCharts": True,
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "viewMaximized": False,
        # If MLflow cuts the legend off, the list of runs replaces the legend.
        "runListHidden": sum(map(len, conditions)) <= LEGEND_CHARACTERS,
        "isAccordionReordered": True,
        "chartsSearchFilter": "",
        "compareRunSections": [part.section(f"section-{number}") for number, part in enumerate(parts)],
        "compareRunCharts": [
            chart | {"metricSectionId": f"section-{number}"}
            for number, part in enumerate(parts)
            for chart in part.charts
        ],
    }
    return json.dumps(state, ensure_ascii=False)


def _end_of_axis(trials: Sequence[ChartedTrial]) -> int | None:
    """The largest number of interactions that all trials on a dataset reach, full supervision aside. None if there are
    no such trials.

    Full supervision annotates every image at once, and its point would squash the curves of the other scenarios. With
    several datasets, the axis is long enough for the dataset with the most interactions.
    """
    budgets: dict[str | None, int] = {}
    for trial in trials:
        if not trial.config.resolved_scenario.whole_pool:
            dataset = trial.names.dataset_label
            budgets[dataset] = min(budgets.get(dataset, trial.budget), trial.budget)
    return max(budgets.values(), default=None)


def _line(metric: str, end: int | None, count: int) -> dict[str, Any]:
    return {
        **_chart("LINE", f"line-{metric}", metric, count),
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "selectedXAxisMetricKey": "",
        "lineSmoothness": 0,
        "displayPoints": True,
        "ignoreOutliers": False,
        # MLflow loads only the points in this range if the range begins above 0, so that other points do not stretch
        # the axes. The range ends a little later than the curves, so that their last points are not cut off.
        "range": {} if end is None else {"xMin": 1, "xMax": end + max(1, end // 50)},
        "useGlobalLineSmoothing": False,
        "useGlobalXaxisKey": False,
    }


def _bar(metric: str, count: int) -> dict[str, Any]:
    return {**_chart("BAR", f"bar-{metric}", metric, count), "dataAccessKey": metric}


def _scatter(metric: str, parameter: str, count: int) -> dict[str, Any]:
    axes = {
        "xaxis": {"key": parameter, "type": "PARAM"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }
    return {**_chart("SCATTER", f"scatter-{metric}", metric, count), **axes}


def _chart(kind: str, uuid: str, metric: str, count: int) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": uuid,
        "metricKey": metric,
        "runsCountToCompare": max(count, 10),
        "isGenerated": False,
        "deleted": False,
    }


def _quoted(text: str) -> str:
    """The text as a string of MLflow's search language, which cannot escape the quote that encloses a string."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
