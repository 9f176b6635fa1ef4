"""The Prometheus metrics of a sweep: a table of these metrics, and their values, computed from the state of the
experiments.

All metrics are gauges that describe the state of the sweep, so that a resumed sweep continues its curves. A Ray counter
would start again at zero. Also, Ray keeps a counter on one node, where it outlives the sweep; and a counter first
appears together with its first increment, which the PromQL function `increase` does not count.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from raycal.config import ExperimentConfig
from raycal.config.dataset_names import dataset_names, image_root
from raycal.storage.results import SECONDS, IterationRecord, TimedRecord
from raycal.storage.run_dir import TrialState

GROUP = ("sweep", "dataset", "scenario")
# The keys that are kept from a line of results.jsonl.
_KEPT = ("interactions", "human_seconds", "annotated", "clusters_shown", "clusters_accepted", "test_accuracy", *SECONDS)


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge; Ray puts `ray_` before its name."""

    name: str
    labels: tuple[str, ...]
    description: str


TABLE: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("raycal_trials", ("sweep", "state"), f"Trials by state: {', '.join(TrialState)}"),
        Metric(
            "raycal_planned_iterations",
            GROUP,
            "Iterations that are planned; for a trial that has ended, the iterations that it ran",
        ),
        Metric("raycal_iterations", GROUP, "Number of saved iterations"),
        Metric("raycal_interactions", GROUP, "Human interactions spent, summed over the trials"),
        Metric("raycal_human_seconds", GROUP, "Human time that these interactions took, in seconds"),
        Metric(
            "raycal_annotated_images", GROUP, "Images with a label in the newest iterations, summed over the trials"
        ),
        Metric("raycal_clusters_shown", GROUP, "Clusters shown to the expert"),
        Metric("raycal_clusters_accepted", GROUP, "Clusters that the expert labeled"),
        Metric("raycal_newest_test_accuracy", GROUP, "Test accuracy of the newest iteration"),
        Metric(
            "raycal_newest_interactions", GROUP, "Human interactions that the trial of the newest iteration had spent"
        ),
        Metric("raycal_newest_cluster_label_error", GROUP, "Share of wrong labels in the newest labeled clusters"),
        Metric("raycal_best_test_accuracy", GROUP, "Highest test accuracy of any iteration"),
        Metric(
            "raycal_phase_seconds", (*GROUP, "phase"), "Seconds spent in a phase: predict, cluster, train or evaluate"
        ),
        Metric("raycal_start_seconds", ("sweep",), "Seconds in which there was room for a trial that had not begun"),
        Metric(
            "raycal_restarts", ("sweep",), "Number of times a trial continued after its worker, process or node died"
        ),
        Metric(
            "raycal_last_progress_timestamp_seconds",
            ("sweep",),
            "Unix time at which an iteration was last saved or a trial last ended",
        ),
        Metric("raycal_tracking_backlog", ("sweep",), "Experiments with results that MLflow does not have yet"),
    )
}


class Sample(NamedTuple):
    """The value of a metric under one set of labels."""

    name: str
    labels: dict[str, str]
    value: float


class _Key(NamedTuple):
    """The values that all trials of a group have in common."""

    dataset: str
    root: str  # The folder of the images, by which image datasets are told apart.
    scenario: str


class _Group:
    """The trials of one dataset and scenario: their lines of results.jsonl, by iteration."""

    def __init__(self) -> None:
        self.trials: dict[str, dict[int, Mapping[str, Any]]] = {}
        self.newest: Mapping[str, Any] | None = None
        self.newest_error: float | None = None

    def add(self, experiment_id: str, line: Mapping[str, Any]) -> None:
        """Add an iteration. Earlier records of this iteration and of later ones of its trial are dropped, because these
        iterations run again."""
        lines = self.trials.setdefault(experiment_id, {})
        for iteration in [old for old in lines if old >= line["iteration"]]:
            del lines[iteration]
        lines[line["iteration"]] = self.newest = {key: line[key] for key in _KEPT}
        if line["cluster_label_error"] is not None:
            self.newest_error = line["cluster_label_error"]

    def values(self) -> Iterator[tuple[str, float]]:
        """The values of all metrics that have exactly the labels of `GROUP`."""
        lines = [line for trial in self.trials.values() for line in trial.values()]
        lasts = [trial[max(trial)] for trial in self.trials.values()]
        yield "raycal_iterations", len(lines)
        yield "raycal_interactions", sum(line["interactions"] for line in lasts)
        yield "raycal_human_seconds", sum(line["human_seconds"] for line in lasts)
        yield "raycal_annotated_images", sum(line["annotated"] for line in lasts)
        yield "raycal_clusters_shown", sum(line["clusters_shown"] for line in lines)
        yield "raycal_clusters_accepted", sum(line["clusters_accepted"] for line in lines)
        if self.newest is not None:
            yield "raycal_newest_test_accuracy", self.newest["test_accuracy"]
            yield "raycal_newest_interactions", self.newest["interactions"]
            yield "raycal_best_test_accuracy", max(line["test_accuracy"] for line in lines)
        if self.newest_error is not None:
            yield "raycal_newest_cluster_label_error", self.newest_error

    def phases(self) -> Iterator[tuple[str, float]]:
        """The seconds of each phase."""
        for key in SECONDS:
            seconds = sum(line[key] for trial in self.trials.values() for line in trial.values())
            yield key.removesuffix("_seconds"), seconds


class SweepMetrics:
    """The state of a sweep as metrics.

    Args:
        sweep: The sweep's name.
        experiments: All experiments by id, including experiments that have ended. More experiments may be added to it.
        num_trials: The largest number of trials.
        planned: All experiments of the plan; the names of their datasets must differ. `planned` is larger than
            `experiments` if only some trials were selected.
    """

    def __init__(
        self,
        sweep: str,
        experiments: Mapping[str, ExperimentConfig],
        num_trials: int,
        planned: Mapping[str, ExperimentConfig] | None = None,
    ) -> None:
        self._planned = dict(planned or {})
        self._sweep, self._experiments, self._num_trials = sweep, experiments, num_trials
        self._states: dict[str, TrialState] = {}
        self._groups: dict[_Key, _Group] = {}
        self._began: dict[str, float] = {}
        self._start_seconds = 0.0
        self._restarts = 0
        self._progress = time.time()
        self._is_over = False

    def restore(self, experiment_id: str, lines: list[IterationRecord], state: TrialState) -> None:
        """Add the results and the state of an earlier start; a trial that is not complete counts as planned."""
        if state.is_complete:
            self._states.setdefault(experiment_id, state)
        for line in lines:
            self._group(experiment_id).add(experiment_id, line)

    def scheduled(self, experiment_id: str) -> None:
        """An experiment got a slot to run in."""
        self._states[experiment_id] = TrialState.RUNNING

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began, `seconds` after a slot became free for the trial."""
        self._start_seconds += max(seconds, 0)

    def iteration(self, experiment_id: str, line: TimedRecord) -> None:
        """An iteration was saved.

        `line` is its line of results.jsonl, with the additional key `started`: the time at which the trial began.
        """
        self._group(experiment_id).add(experiment_id, line)
        began = line.get("started")
        if began is not None and self._began.setdefault(experiment_id, began) != began:
            self._began[experiment_id] = began
            self._restarts += 1
        self._progress = time.time()

    def ended(self, experiment_id: str, state: TrialState) -> None:
        """A trial finished, was stopped or failed."""
        self._states[experiment_id] = state
        self._progress = time.time()

    def end(self) -> None:
        """The sweep ended: from now on nothing is planned, running or waiting to be sent."""
        self._is_over = True

    def samples(self, backlog: int) -> Iterator[Sample]:
        """All current values; `backlog` is the number of experiments that have something to send."""
        yield from self._of_trials()
        experiments = dict(self._experiments)  # Another thread may add experiments in the meantime.
        names = _dataset_names({**self._planned, **experiments}.values())
        for key, planned in self._planned_iterations(experiments).items():
            labels = {"sweep": self._sweep, "dataset": names[key], "scenario": key.scenario}
            group = self._groups.setdefault(key, _Group())
            yield Sample("raycal_planned_iterations", labels, planned)
            for name, value in group.values():
                yield Sample(name, labels, value)
            for phase, seconds in group.phases():
                yield Sample("raycal_phase_seconds", labels | {"phase": phase}, seconds)
        for name, value in (
            ("raycal_start_seconds", self._start_seconds),
            ("raycal_restarts", self._restarts),
            ("raycal_last_progress_timestamp_seconds", self._progress),
            ("raycal_tracking_backlog", 0 if self._is_over else backlog),
        ):
            yield Sample(name, {"sweep": self._sweep}, value)

    def _of_trials(self) -> Iterator[Sample]:
        counts = dict.fromkeys(TrialState, 0)
        for state in self._states.values():
            counts[state] += 1
        counts[TrialState.PLANNED] = max(self._num_trials - len(self._states), 0)
        for state, count in counts.items():
            gone = self._is_over and not state.has_ended
            yield Sample("raycal_trials", {"sweep": self._sweep, "state": state.value}, 0 if gone else count)

    def _planned_iterations(self, experiments: Mapping[str, ExperimentConfig]) -> dict[_Key, int]:
        """The number of iterations that are planned in each group."""
        planned: dict[_Key, int] = {}
        for experiment_id, config in experiments.items():
            key = _group_key(config)
            iterations = config.resolved_scenario.iterations(config.iterations)
            if self._states.get(experiment_id, TrialState.PLANNED).has_ended:
                iterations = len(self._group(experiment_id).trials.get(experiment_id, ()))
            planned[key] = planned.get(key, 0) + iterations
        return planned

    def _group(self, experiment_id: str) -> _Group:
        return self._groups.setdefault(_group_key(self._experiments[experiment_id]), _Group())


def _group_key(config: ExperimentConfig) -> _Key:
    return _Key(config.dataset.name, image_root(config) or "", config.resolved_scenario.name)


def _dataset_names(configs: Collection[ExperimentConfig]) -> dict[_Key, str]:
    """The dataset name of each group; a folder of images has a name of its own, as in the report."""
    return dict(zip(map(_group_key, configs), dataset_names(list(configs)), strict=True))
