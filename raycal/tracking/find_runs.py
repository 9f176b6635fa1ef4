"""Finds the runs of a sweep on an MLflow server."""

import os

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType

from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking.tags import FOLDER, KIND, SWEEP_ID


def find_runs(client: MlflowClient, experiment_id: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """All runs of an MLflow experiment; `view` selects whether deleted runs are included."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], run_view_type=view, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def run_of_sweep(runs: list[Run], sweep_dir: SweepDir) -> Run | None:
    """The parent run of a sweep, even if the sweep folder was moved since; None if the sweep has no run.

    The id in the plan identifies a sweep. A moved folder keeps its run. A copy of a folder is a separate sweep as long
    as the original is still at the place that its run records. Plans of older versions have no id. Their sweeps are
    identified by the folder or, after the folder was moved, by the time of the first start.
    """
    place, sweep_id, started = sweep_dir.folder.uri, sweep_dir.sweep_id(), sweep_dir.start_time()
    sweeps = [run for run in runs if run.data.tags.get(KIND) == "sweep" and run.data.tags.get(SWEEP_ID) == sweep_id]
    sweeps.sort(key=lambda run: (is_deleted(run), run.info.start_time))
    for run in sweeps:
        if run.data.tags.get(FOLDER) == place:
            return run
    for run in sweeps:
        is_same = sweep_id is not None or (started is not None and run.info.start_time == started)
        if is_same and not _is_elsewhere(sweep_dir, run.data.tags.get(FOLDER, "")):
            return run
    return None


def _is_elsewhere(sweep_dir: SweepDir, place: str) -> bool:
    """Whether the other folder `place` holds the same sweep, so that the folder of this sweep is a copy of `place`."""
    try:
        other = SweepDir(Folder.at(place))
        if sweep_dir.folder.is_local and other.folder.is_local and os.path.samefile(sweep_dir.folder.path, place):
            return False  # Both paths lead to the same folder.
        if other.folder.place == sweep_dir.folder.place:
            return False
        return (other.sweep_id(), other.start_time()) == (sweep_dir.sweep_id(), sweep_dir.start_time())
    except (OSError, ValueError, InputError):  # The other folder was removed, or cannot be reached from here.
        return False


def is_deleted(run: Run) -> bool:
    """Whether somebody deleted the run in MLflow."""
    return bool(run.info.lifecycle_stage == LifecycleStage.DELETED)
