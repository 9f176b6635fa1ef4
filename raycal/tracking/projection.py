"""Mirrors a sweep in MLflow: one experiment per sweep name, one parent run per sweep, one child run per trial.

Sending is idempotent: an existing run is found by its tags, and an existing step is not sent again. Times come from the
records, so that runs created from the same folders are the same.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from raycal.config import ExperimentConfig
from raycal.errors import shortened
from raycal.storage.data_variants import RunInputs, data_variants
from raycal.storage.results import SECONDS
from raycal.storage.run_dir import CONFIG, ERROR, RESULTS, RunDir, TrialState
from raycal.storage.sweep_dir import OWNER_ONLY, PLAN, TRIALS, SweepDir, SweepPlan
from raycal.tracking.artifacts import Artifacts
from raycal.tracking.browse import page_paths
from raycal.tracking.find_runs import find_runs, is_deleted, run_of_sweep
from raycal.tracking.names import UNNAMED, Names, names_in
from raycal.tracking.schema import ARTIFACTS, follow_artifacts, make_sqlite
from raycal.tracking.tags import (
    DATASET,
    EXPERIMENT_ID,
    FOLDER,
    IN_SWEEP_FILE,
    KIND,
    STATUS,
    STOPPED_BY,
    SWEEP_ID,
    dataset_input,
    names_tags,
    run_name,
    source,
    trial_metrics,
    trial_tags,
)
from raycal.tracking.uri import sqlite_path
from raycal.tracking.views import ChartedTrial, View, sweep_views

logger = logging.getLogger(__name__)

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# This logger prints full tracebacks, with passwords, of errors that MLflow also raises.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

LEDGER = "ledger.parquet"
LINES_PER_BATCH = 50  # Each call sends this many records of results.jsonl; MLflow accepts up to 1,000 metrics per call.


class Projection:
    """The runs of one sweep on one MLflow server.

    Raises:
        MlflowException: From every method, if the server does not answer or refuses the request.
    """

    def __init__(self, uri: str, sweep_dir: SweepDir, sweep: str) -> None:
        make_sqlite(uri)
        follow_artifacts(uri)
        self._client = MlflowClient(tracking_uri=uri)
        self._artifacts = Artifacts(self._client, uri)
        self._sweep_dir = sweep_dir
        self.experiment_id = self._find_experiment(uri, sweep)
        runs = find_runs(self._client, self.experiment_id, ViewType.ALL)
        identity = {FOLDER: sweep_dir.folder.uri}
        if (sweep_id := sweep_dir.sweep_id()) is not None:
            identity[SWEEP_ID] = sweep_id
        existing = run_of_sweep(runs, sweep_dir)
        self._parent = existing or self._create(sweep, {KIND: "sweep", **identity}, sweep_dir.start_time())
        if is_deleted(self._parent):  # The run is restored, because a second parent run would duplicate the sweep.
            self._client.restore_run(self._parent.info.run_id)
        for key, value in identity.items() - self._parent.data.tags.items():
            self._client.set_tag(self._parent.info.run_id, key, value)
        self._client.update_run(self._parent.info.run_id, status="RUNNING")
        parent_id = self._parent.info.run_id
        children = [run for run in runs if run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parent_id]
        children.sort(
            key=is_deleted, reverse=True
        )  # If a trial has two runs, the next line keeps the run that is not deleted.
        self._children = {
            run.data.tags[EXPERIMENT_ID]: _Child(run) for run in children if EXPERIMENT_ID in run.data.tags
        }
        self._names: dict[str, Names] = {}
        self.views: list[View] = []
        self._send_plan()
        self._send_views()

    def send(self, experiment_id: str, config: ExperimentConfig) -> None:
        """Send everything in a trial's run folder that MLflow lacks."""
        run_dir = self._sweep_dir.run_dir(experiment_id)
        outcome, lines = _outcome(run_dir), run_dir.results()
        if not outcome.is_end and not lines:
            return
        child = self._child(experiment_id, config, run_dir)
        if outcome.is_end and child.outcome == outcome:
            return
        child.end_time = child.run.info.start_time + _milliseconds(lines)[-1]
        environment = run_dir.environment()
        names = self._names_of(experiment_id)
        self._send_settings(child, config, trial_tags(config, environment, names) | outcome.tags)
        self._send_metrics(child, lines)
        self._send_input(child, config, environment, names.dataset)
        self._send_files(child, run_dir, outcome)
        if child.outcome != outcome:
            self._set_status(child, outcome)

    def end(self, status: str) -> None:
        """Set the final status of the sweep's run, mark running trials as killed, and send the plan and the report."""
        for child in self._children.values():
            if child.status in ("RUNNING", "SCHEDULED") and not child.is_deleted:
                self._send_tags(child, {STATUS: "interrupted"})
                self._set_status(child, _Outcome("KILLED", "interrupted"))
        self._send_plan(at_the_end=True)
        self._send_views()
        self.send_report()
        ends = [child.end_time for child in self._children.values() if child.end_time is not None]
        self._client.set_terminated(self._parent.info.run_id, status, max(ends, default=self._parent.info.start_time))

    @property
    def pages(self) -> dict[str, str]:
        """The paths of the sweep's charts in the MLflow UI, by the titles of the views."""
        return page_paths(self.experiment_id, {view.title: view.key for view in self.views})

    def describe(self, text: str) -> None:
        """Set the description of the sweep's run, in Markdown."""
        if self._parent.data.tags.get(MLFLOW_RUN_NOTE) != text:
            self._client.set_tag(self._parent.info.run_id, MLFLOW_RUN_NOTE, text)

    def send_report(self) -> None:
        """Send all files of the sweep's `report` folder, except those that are for the owner alone."""
        folder = self._sweep_dir.folder.folder("report")
        names = [name for name in folder.all_names() if not name.startswith(f"{OWNER_ONLY}/")]
        self._artifacts.send(self._parent, {f"report/{name}": folder.read(name) for name in names})

    def _find_experiment(self, uri: str, name: str) -> str:
        """The id of the sweep's MLflow experiment, which is created or restored if necessary."""
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=_artifacts_of(uri, name)))
            except MlflowException:  # Another sweep with this name may have created the experiment in the meantime.
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            self._client.restore_experiment(experiment.experiment_id)
            logger.warning("MLflow: the experiment %s was deleted there and is restored, with its runs", name)
        return str(experiment.experiment_id)

    def _create(self, name: str, tags: dict[str, str], start_time: int | None) -> Run:
        return self._client.create_run(self.experiment_id, start_time, run_name=name, tags=source() | tags)

    def _child(self, experiment_id: str, config: ExperimentConfig, run_dir: RunDir) -> "_Child":
        """The run of a trial, created if it does not exist and restored if somebody deleted it in MLflow."""
        if experiment_id not in self._children:
            parent_id = self._parent.info.run_id
            tags = {KIND: "trial", EXPERIMENT_ID: experiment_id, MLFLOW_PARENT_RUN_ID: parent_id}
            names = self._names_of(experiment_id)
            name = run_name(experiment_id, config, names.label, names.dataset)
            run = self._create(name, tags, run_dir.start_time())
            self._children[experiment_id] = _Child(run)
        child = self._children[experiment_id]
        if child.is_deleted:
            self._client.restore_run(child.run_id)
            child.is_deleted = False
        return child

    def _names_of(self, experiment_id: str) -> Names:
        """The names of a trial and its dataset. The plan is read again if it lacks the trial, because a search may have
        added the trial."""
        if experiment_id not in self._names:
            plan = self._sweep_dir.read_plan()
            if plan is not None:
                self._names = names_in(plan)
        return self._names.get(experiment_id, UNNAMED)

    def _send_settings(self, child: "_Child", config: ExperimentConfig, tags: Mapping[str, str]) -> None:
        if not child.has_params:
            params = [Param(key, _param(value)) for key, value in config.flat().items()]
            self._client.log_batch(child.run_id, params=params)
            child.has_params = True
        self._send_tags(child, tags)

    def _send_tags(self, child: "_Child", tags: Mapping[str, str]) -> None:
        new = dict(tags.items() - child.tags.items())
        if new:
            self._client.log_batch(child.run_id, tags=[RunTag(key, value) for key, value in new.items()])
            child.tags.update(new)

    def _send_metrics(self, child: "_Child", lines: Sequence[Mapping[str, Any]]) -> None:
        """Send all values of the new records as metrics whose step is the number of interactions."""
        if child.steps is None:
            history = self._client.get_metric_history(child.run_id, "interactions")
            child.steps = {metric.step for metric in history}
        # MLflow stores points with equal step and timestamp only once, however often they are sent. So no timestamp may
        # come from the clock.
        metrics = {
            line["interactions"]: [
                Metric(key, value, child.run.info.start_time + milliseconds, line["interactions"])
                for key, value in trial_metrics(line).items()
            ]
            for line, milliseconds in zip(lines, _milliseconds(lines)[1:], strict=True)
        }
        new = [step for step in metrics if step not in child.steps]
        for begin in range(0, len(new), LINES_PER_BATCH):
            steps = new[begin : begin + LINES_PER_BATCH]
            self._client.log_batch(child.run_id, metrics=[metric for step in steps for metric in metrics[step]])
            child.steps.update(steps)

    def _send_input(
        self, child: "_Child", config: ExperimentConfig, environment: Mapping[str, Any], name: str | None
    ) -> None:
        dataset = None if child.has_input else dataset_input(config, environment, name)
        if dataset is not None:
            self._client.log_inputs(child.run_id, datasets=[dataset])
            child.has_input = True

    def _send_files(self, child: "_Child", run_dir: RunDir, outcome: "_Outcome") -> None:
        """Send the results, the configuration and new montages; at the end of the trial, all other files too."""
        there = self._artifacts.there(child.run)
        names = [RESULTS, *(name for name in (CONFIG, *run_dir.montages()) if name not in there)]
        files = {name: run_dir.folder.read(name) for name in names}
        if outcome.is_end:
            files |= {LEDGER: run_dir.ledger(), ERROR: run_dir.folder.read(ERROR)}
        self._artifacts.send(child.run, files)
        if outcome.error is None and ERROR in there:
            self._artifacts.remove(child.run, ERROR)

    def _send_views(self) -> None:
        """Write the views of the sweep's charts. A server that refuses the views still gets the runs.

        Errors are ignored here. If the server does not answer, the next request fails, too, and raises the error.
        """
        plan = self._sweep_dir.read_plan()
        if plan is None:
            return
        trials = [
            ChartedTrial(config=config, names=self._names_of(key), end=self._end(key))
            for key, config in plan.experiments.items()
        ]
        prefix = f"raycal-{self._sweep_dir.sweep_id() or self._parent.info.run_id}"[: len("raycal-") + 8]
        accepted = []
        for view in sweep_views(prefix, self._parent.info.run_id, trials):
            try:
                self._client.set_experiment_tag(self.experiment_id, view.tag, view.state)
            except MlflowException as error:
                logger.debug("MLflow refused the view %s: %s", view.key, type(error).__name__)
                continue
            accepted.append(view)
        self.views = accepted

    def _end(self, experiment_id: str) -> int | None:
        """The number of interactions at which a trial ended; None if it has not finished."""
        run_dir = self._sweep_dir.run_dir(experiment_id)
        if run_dir.state() is not TrialState.FINISHED:
            return None
        return next((line["interactions"] for line in reversed(run_dir.results())), None)

    def _send_plan(self, *, at_the_end: bool = False) -> None:
        """Send the plan and the table of trials, and update the existing runs to the plan.

        Runs of trials that the sweep file no longer contains get the tag `raycal.in_sweep_file` with the value `no`. A
        run is renamed if the plan has grown and the label of its trial has become longer.

        Args:
            at_the_end: Whether the trials have run, so that it is known which data each trial read.
        """
        self._artifacts.send(self._parent, {name: self._sweep_dir.folder.read(name) for name in (PLAN, TRIALS)})
        plan = self._sweep_dir.read_plan()
        removed = set() if plan is None else set(plan.removed)
        if plan is not None:
            self._names = names_in(plan, self._variants(plan) if at_the_end else ())
        for experiment_id, child in self._children.items():
            if plan is not None and experiment_id in plan.experiments:
                self._rename(child, experiment_id, plan.experiments[experiment_id])
            if experiment_id in removed:
                self._send_tags(child, {IN_SWEEP_FILE: "no"})
            elif IN_SWEEP_FILE in child.tags:
                self._send_tags(child, {IN_SWEEP_FILE: "yes"})

    def _variants(self, plan: SweepPlan) -> list[str]:
        """Which variant of the data each trial of the plan read, if trials of one dataset read different data."""
        return data_variants(
            [RunInputs(config, self._sweep_dir.run_dir(key).environment()) for key, config in plan.experiments.items()]
        )

    def _rename(self, child: "_Child", experiment_id: str, config: ExperimentConfig) -> None:
        """Update the name of a run, and the tags with its names, to the current plan.

        A name that a person chose stays.
        """
        if child.is_deleted:
            return
        names = self._names[experiment_id]
        name = run_name(experiment_id, config, names.label, names.dataset)
        is_ours = child.name.endswith(f" {experiment_id[-8:]}")
        if is_ours and child.name != name:
            self._client.update_run(child.run_id, name=name)
            child.name = name
        if DATASET in child.tags:
            self._send_tags(child, names_tags(config, names))

    def _set_status(self, child: "_Child", outcome: "_Outcome") -> None:
        if outcome.is_end:
            self._client.set_terminated(child.run_id, outcome.status, child.end_time)
        else:
            self._client.update_run(child.run_id, status=outcome.status)
        child.outcome = outcome


class _Outcome(NamedTuple):
    """The state of a trial.

    Attributes:
        status: The status in MLflow's terms.
        words: How the trial ended, in words.
        stopped_by: The scheduler that stopped the trial early; None otherwise.
        error: The whole record of a failure, by which two failures are told apart even if their first lines are equal.
    """

    status: str
    words: str
    stopped_by: str | None = None
    error: str | None = None

    @property
    def is_end(self) -> bool:
        return self.status != "RUNNING"

    @property
    def tags(self) -> dict[str, str]:
        stopped = {} if self.stopped_by is None else {STOPPED_BY: self.stopped_by}
        return {STATUS: self.words} | stopped


class _Child:
    """The run of a trial, and the part of it that MLflow is known to have.

    Attributes:
        name: The name of the run in MLflow.
        steps: The steps whose metrics MLflow has; None if they were not requested yet.
        end_time: The end of the newest iteration, in milliseconds since 1970; None if it is not known.
        outcome: The outcome that this process sent last; None if nothing was sent yet.
        is_deleted: Whether somebody deleted the run in MLflow.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.name = run.info.run_name or ""
        self.tags = dict(run.data.tags)
        self.has_params = bool(run.data.params)
        self.has_input = bool(run.inputs and run.inputs.dataset_inputs)
        self.steps: set[int] | None = None
        self.end_time: int | None = run.info.end_time
        self.outcome: _Outcome | None = None
        self.is_deleted = is_deleted(run)

    @property
    def run_id(self) -> str:
        return str(self.run.info.run_id)

    @property
    def status(self) -> str:
        return self.outcome.status if self.outcome else str(self.run.info.status)


def _outcome(run_dir: RunDir) -> _Outcome:
    state, reason = run_dir.state(), run_dir.reason() or ""
    match state:
        case TrialState.FINISHED:
            return _Outcome("FINISHED", reason)
        case TrialState.STOPPED:
            return _Outcome("KILLED", state.value, stopped_by=reason)
        case TrialState.FAILED:
            return _Outcome("FAILED", shortened(reason.partition("\n")[0], 500), error=reason)
    return _Outcome("RUNNING", TrialState.RUNNING.value)


def _milliseconds(lines: Iterable[Mapping[str, Any]]) -> list[int]:
    """The cumulative working time in milliseconds at the end of each record, preceded by 0 for the start."""
    return [int(1000 * end) for end in accumulate((sum(line[phase] for phase in SECONDS) for line in lines), initial=0)]


def _artifacts_of(uri: str, experiment: str) -> str | None:
    """The artifact location of an experiment: a folder beside a sqlite file; None for a server, which has its own."""
    path = sqlite_path(uri)
    return None if path is None else (path.absolute().parent / ARTIFACTS / experiment).as_uri()


def _param(value: Any) -> str:
    return "null" if value is None else str(value)
