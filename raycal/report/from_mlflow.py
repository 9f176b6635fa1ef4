"""The runs of a sweep from MLflow alone."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from raycal.report.runs import Runs, read_runs


def runs_from_mlflow(uri: str, sweep: str, *, folder: str | None = None) -> Runs:
    """What `read_runs` gives for the sweep's folder, but for the trials' folders, which are empty here.

    Args:
        sweep: The name of the sweep, which is that of the MLflow experiment.
        folder: That the sweep ran in; needed where several sweeps have the name.

    Raises:
        InputError: There is no such sweep, or more than one.
        MlflowException: The server does not answer or refuses.
    """
    from raycal.tracking.download import download_sweep

    with TemporaryDirectory() as place:
        download_sweep(uri, sweep, Path(place), folder=folder)
        runs = read_runs(place)
    return replace(runs, trials=tuple(replace(trial, folder="") for trial in runs.trials))
