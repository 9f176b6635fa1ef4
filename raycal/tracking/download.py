"""Restores the folder of a sweep from MLflow."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.storage.run_dir import CONFIG, ERROR, RESULTS
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import PLAN, SweepDir
from raycal.tracking.find_runs import find_runs
from raycal.tracking.tags import EXPERIMENT_ID, FOLDER, KIND, STATUS, STOPPED_BY
from raycal.tracking.uri import without_secrets


def download_sweep(uri: str, sweep: str, into: Path, *, folder: str | None = None) -> None:
    """Write the plan of a sweep, and the configuration, results and outcome of each trial; no checkpoints or ledgers.

    Args:
        uri: The MLflow tracking URI.
        sweep: The name of the MLflow experiment.
        into: An empty folder to write to.
        folder: The folder that the sweep ran in; required if several sweeps have the same name.

    Raises:
        InputError: There is no such sweep, or more than one.
        MlflowException: The server does not answer, or it refuses the request.
    """
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(sweep)
    runs = find_runs(client, experiment.experiment_id) if experiment else []
    parent = _the_sweep(uri, sweep, runs, folder)
    if PLAN not in _names(client, parent):
        raise InputError(f"{sweep}: its run in MLflow has no {PLAN}; python -m raycal.track on its folder sends it")
    client.download_artifacts(parent.info.run_id, PLAN, str(into))
    for run in runs:
        if run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parent.info.run_id:
            _download_trial(client, run, SweepDir(Folder.at(str(into))))


def _the_sweep(uri: str, sweep: str, runs: list[Run], folder: str | None) -> Run:
    parents = [run for run in runs if run.data.tags.get(KIND) == "sweep"]
    candidates = [run for run in parents if folder in (None, run.data.tags.get(FOLDER))]
    if candidates and len({run.data.tags.get(FOLDER) for run in candidates}) == 1:
        # If a folder was emptied and used again, its newest sweep counts.
        return max(candidates, key=lambda run: int(run.info.start_time))
    folders = ", ".join(sorted({run.data.tags.get(FOLDER, "") for run in parents}))
    if not parents:
        raise InputError(f"{without_secrets(uri)}: no sweep of raycal is called {sweep}")
    raise InputError(f"{sweep}: name the folder of one of the sweeps of this name: {folders}")


def _download_trial(client: MlflowClient, run: Run, sweep_dir: SweepDir) -> None:
    run_dir = RunWriter.of(sweep_dir, run.data.tags[EXPERIMENT_ID])
    place = Path(run_dir.folder.path)
    place.mkdir()
    wanted = {CONFIG, RESULTS} | ({ERROR} if run.info.status == "FAILED" else set())
    for name in sorted(wanted & _names(client, run)):
        client.download_artifacts(run.info.run_id, name, str(place))
    if run.info.status == "FINISHED":
        run_dir.finish(run.data.tags[STATUS])
    elif STOPPED_BY in run.data.tags:
        run_dir.stop(run.data.tags[STOPPED_BY])


def _names(client: MlflowClient, run: Run) -> set[str]:
    return {file.path for file in client.list_artifacts(run.info.run_id)}
