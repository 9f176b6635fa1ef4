"""Reads the runs of a sweep from MLflow, without the sweep folder."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from raycal.report.runs import Runs, read_runs


def runs_from_mlflow(uri: str, sweep: str, *, folder: str | None = None) -> Runs:
    """Return the same as `read_runs` on the sweep folder, except that `Trial.folder` is empty.

    Args:
        uri: The MLflow tracking URI.
        sweep: The name of the sweep, which is also the name of the MLflow experiment.
        folder: The folder that the sweep ran in; required if several sweeps have the same name.

    Raises:
        InputError: There is no such sweep, or more than one.
        MlflowException: The server does not answer, or it refuses the request.
    """
    from raycal.tracking.download import download_sweep

    with TemporaryDirectory() as place:
        download_sweep(uri, sweep, Path(place), folder=folder)
        runs = read_runs(place)
    return replace(runs, trials=tuple(replace(trial, folder="") for trial in runs.trials))
