"""What MLflow shows of a sweep: one experiment, one parent run, one child run per trial.

Sending is idempotent: a run that is there is found by its tags, and a step that is there is not sent again.
"""

import getpass
import logging
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_SOURCE_NAME, MLFLOW_USER

from raycal import __version__
from raycal.config import ExperimentConfig
from raycal.plan import SweepDir
from raycal.results import SECONDS
from raycal.store import CONFIG, ERROR, RESULTS, RunDir

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)

KIND, FOLDER, EXPERIMENT_ID, STATUS = "raycal.kind", "raycal.folder", "raycal.experiment_id", "raycal.status"
STOPPED_BY = "raycal.stopped_by"
LEDGER = "ledger.parquet"
LINES_PER_BATCH = 50  # MLflow takes 1,000 metrics a call


class Projection:
    """The runs of one sweep on one MLflow server.

    Raises:
        MlflowException: From every method, when the server does not answer or refuses.
    """

    def __init__(self, uri: str, sweep_dir: SweepDir, sweep: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)
        self._sweep_dir = sweep_dir
        self.experiment_id = self._find_experiment(uri, sweep)
        runs = self._runs()
        folder = {FOLDER: sweep_dir.folder.uri}
        found = [run for run in runs if run.data.tags.get(KIND) == "sweep" and folder.items() <= run.data.tags.items()]
        self._parent = found[0] if found else self._create(sweep, {KIND: "sweep", **folder})
        self._client.update_run(self._parent.info.run_id, status="RUNNING")
        parent_id = self._parent.info.run_id
        self._children = {
            run.data.tags[EXPERIMENT_ID]: run for run in runs if run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parent_id
        }
        self._with_params = {run.info.run_id for run in self._children.values() if run.data.params}
        self._sent: dict[str, set[int]] = {}
        self._outcomes: dict[str, _Outcome] = {}

    def send(self, experiment_id: str, config: ExperimentConfig) -> None:
        """Bring one trial up to its run folder."""
        run_dir = self._sweep_dir.run_dir(experiment_id)
        outcome = _outcome(run_dir)
        lines = run_dir.results()
        if not outcome.is_end and not lines:
            return
        run = self._child(experiment_id, config)
        run_id = run.info.run_id
        self._send_metrics(run, lines)
        if self._outcomes.get(run_id) == outcome:
            return
        if outcome.is_end:
            self._send_artifacts(run_id, run_dir)
            for key, value in (_ran_on(run_dir) | outcome.tags).items():
                self._client.set_tag(run_id, key, value)
        self._client.update_run(run_id, status="RUNNING")
        if outcome.is_end:
            self._client.set_terminated(run_id, outcome.status)
        self._outcomes[run_id] = outcome

    def end(self, status: str) -> None:
        """End the sweep's run, and as killed what is still running of it."""
        for run in self._children.values():
            outcome = self._outcomes.get(run.info.run_id)
            if (outcome.status if outcome else run.info.status) in ("RUNNING", "SCHEDULED"):
                self._client.set_terminated(run.info.run_id, "KILLED")
        self._client.set_terminated(self._parent.info.run_id, status)

    def _find_experiment(self, uri: str, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        storage = Path(self._sweep_dir.folder.path).parent
        # A local database has no place for files of its own; a server has, and must choose it.
        artifacts = (
            (storage / "mlartifacts" / name).as_uri()
            if uri.startswith("sqlite:") and self._sweep_dir.folder.is_local
            else None
        )
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def _runs(self) -> list[Run]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([self.experiment_id], max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _create(self, name: str, tags: dict[str, str]) -> Run:
        source = {MLFLOW_USER: _user(), MLFLOW_SOURCE_NAME: "raycal.sweep", "raycal.version": __version__}
        return self._client.create_run(self.experiment_id, run_name=name, tags=source | tags)

    def _child(self, experiment_id: str, config: ExperimentConfig) -> Run:
        """The run of a trial, made with its params when it is not there yet."""
        if experiment_id not in self._children:
            tags = {
                KIND: "trial",
                EXPERIMENT_ID: experiment_id,
                MLFLOW_PARENT_RUN_ID: self._parent.info.run_id,
                "scenario": config.steps.name,
                "dataset": config.dataset.name,
                "seed": str(config.seed),
            }
            self._children[experiment_id] = self._create(_run_name(experiment_id, config), tags)
        run = self._children[experiment_id]
        if run.info.run_id not in self._with_params:
            params = [Param(key, _param(value)) for key, value in config.flat().items()]
            self._client.log_batch(run.info.run_id, params=params)
            self._with_params.add(run.info.run_id)
        return run

    def _send_metrics(self, run: Run, lines: list[dict[str, Any]]) -> None:
        """Every figure of a line at step = interactions."""
        run_id = run.info.run_id
        if run_id not in self._sent:
            history = self._client.get_metric_history(run_id, "interactions")
            self._sent[run_id] = {metric.step for metric in history}
        # The same point with the same timestamp is one point, however often it is sent; so none is from the clock.
        ends = accumulate(sum(line[phase] for phase in SECONDS) for line in lines)
        metrics = {
            line["interactions"]: [
                Metric(key, float(value), run.info.start_time + int(1000 * end), line["interactions"])
                for key, value in line.items()
                if value is not None
            ]
            for line, end in zip(lines, ends, strict=True)
        }
        new = [step for step in metrics if step not in self._sent[run_id]]
        for begin in range(0, len(new), LINES_PER_BATCH):
            steps = new[begin : begin + LINES_PER_BATCH]
            self._client.log_batch(run_id, metrics=[metric for step in steps for metric in metrics[step]])
            self._sent[run_id].update(steps)

    def _send_artifacts(self, run_id: str, run_dir: RunDir) -> None:
        files = {name: run_dir.folder.read(name) for name in (CONFIG, RESULTS, ERROR)} | {LEDGER: run_dir.ledger()}
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                if content is not None:
                    Path(folder, name).write_bytes(content)
            self._client.log_artifacts(run_id, folder)


class _Outcome(NamedTuple):
    """How far a trial is: MLflow's status, and in words how it ended.

    `error` is the whole record of a failure: the next failure may begin with the same line.
    """

    status: str
    words: str = ""
    stopped_by: str | None = None
    error: str | None = None

    @property
    def is_end(self) -> bool:
        return self.status != "RUNNING"

    @property
    def tags(self) -> dict[str, str]:
        stopped = {} if self.stopped_by is None else {STOPPED_BY: self.stopped_by}
        return {STATUS: self.words} | stopped


def _outcome(run_dir: RunDir) -> _Outcome:
    if (finished := run_dir.finished_reason()) is not None:
        return _Outcome("FINISHED", finished)
    if (stopped := run_dir.stopped_reason()) is not None:
        return _Outcome("KILLED", "stopped", stopped_by=stopped)
    if error := run_dir.error():
        return _Outcome("FAILED", error.partition("\n")[0][:500], error=error)
    return _Outcome("RUNNING")


def _ran_on(run_dir: RunDir) -> dict[str, str]:
    """Tags of what a trial ran on."""
    environment = run_dir.environment()
    return {f"raycal.{key}": str(environment[key]) for key in ("device", "dtype", "threads") if key in environment}


def _run_name(experiment_id: str, config: ExperimentConfig) -> str:
    """What differs first, as MLflow cuts names short: scenario, seed, dataset, digest."""
    return f"{config.steps.name} s{config.seed} {config.dataset.name} {experiment_id[-8:]}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"


def _param(value: Any) -> str:
    return "null" if value is None else str(value)
