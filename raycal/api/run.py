"""Runs sweeps and experiments from Python code, with the same checks and byte-identical files as the command line."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from raycal.api.results import ExperimentResults, SweepResults, read_folder
from raycal.api.wording import in_python_words
from raycal.config import load_sweep
from raycal.errors import ExperimentFailedError, InputError
from raycal.experiment import build
from raycal.registry import MAX_NAME
from raycal.signals import signals_of_a_call

GPUS = "CUDA_VISIBLE_DEVICES"
DIGEST = 9  # An experiment id ends with a digest of this many characters: a hyphen and eight hexadecimal digits.


def run_sweep(
    sweep: str | os.PathLike[str] | Mapping[str, Any],
    *,
    storage: str | os.PathLike[str] = "runs",
    address: str | None = None,
    local: bool = False,
    resume: bool = False,
    only: str | Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    track: bool = True,
    report: bool = True,
    verbose: bool = True,
) -> SweepResults:
    """Run a sweep to its end and return its results, as `raycal sweep` does.

    A trial that fails does not stop the other trials; its `state` in `SweepResults.trials` is `failed`, and `reason`
    says why. Ctrl-C raises `KeyboardInterrupt`; the same call with `resume=True` continues the sweep.

    Args:
        sweep: The path of a sweep file, or the content of such a file:
            `{"name": ..., "experiment": {...}, "grid": {...}}`.
        storage: The folder or URI in which the sweep gets a folder with its name. On a Ray cluster every node must have
            access to it.
        address: The address of the Ray cluster. None means the value of the environment variable `RAY_ADDRESS` or, if
            the variable is not set, a cluster on this machine.
        local: Whether the trials run one after another in this process, without Ray.
        resume: Whether to continue a sweep that was started before, including trials that were added to the sweep
            since. If False, a sweep that was started before is refused.
        only: One or several patterns; a trial runs only if its id or its label matches one of them.
        overrides: Settings by dotted key that replace the settings of the sweep, such as
            `{"training.epochs": 1, "grid.seed": [0, 1]}`.
        track: Whether the runs are sent to MLflow.
        report: Whether the report is written into the sweep's folder.
        verbose: Whether progress and a summary are printed to standard output. If False, everything that the process
            prints there during the call is dropped.

    Raises:
        InputError: The input cannot be used; `problems` has a line for each mistake, and nothing was started.
        StorageError: The remote storage does not answer; the same call with `resume=True` continues the sweep.
        TakenOverError: Another process has started the same sweep and taken over its folder.

    Example:
        >>> experiment = {
        ...     "dataset": {"name": "digits", "train_size": 40, "test_size": 20},
        ...     "model": {"weights": "none"},
        ...     "scenario": "random",
        ...     "iterations": 2,
        ...     "interactions_per_iteration": 10,
        ...     "training": {"epochs": 1, "image_size": 32},
        ... }
        >>> sweep = {"name": "digits", "experiment": experiment, "grid": {"seed": [0, 1]}}
        >>> done = raycal.run_sweep(sweep, local=True, track=False, report=False, verbose=False)
        >>> done
        <SweepResults digits: 2 trials (2 finished) in .../runs/digits>
    """
    with _as_a_call(verbose=verbose):
        return _run(
            _source(sweep),
            storage=os.fspath(storage),
            address=address,
            local=local,
            resume=resume,
            only=[only] if isinstance(only, str) else list(only),
            overrides={} if overrides is None else overrides,
            track=track,
            report=report,
        )


def run_experiment(
    experiment: Mapping[str, Any],
    *,
    storage: str | os.PathLike[str] = "runs",
    track: bool = False,
    verbose: bool = False,
) -> ExperimentResults:
    """Run one experiment in this process, without Ray, and return its results.

    The results are a sweep of one trial in `<storage>/<experiment id>`, which `read_sweep` and `raycal report` can
    read. The same call again continues an interrupted experiment, and only reads the results of a finished experiment.

    Args:
        experiment: The settings of the experiment, written as under `experiment` in a sweep file.
        storage: The folder or URI in which the experiment gets a folder of its own.
        track: Whether the run is sent to MLflow.
        verbose: Whether progress is printed to standard output.

    Raises:
        InputError: The input cannot be used; `problems` has a line for each mistake, and nothing was started.
        ExperimentFailedError: The experiment failed; the message says in which phase and why.
        StorageError: The remote storage does not answer; the same call continues the experiment.

    Example:
        >>> run = raycal.run_experiment(
        ...     {
        ...         "dataset": {"name": "digits", "train_size": 40, "test_size": 20},
        ...         "model": {"weights": "none"},
        ...         "scenario": "cluster-only",
        ...         "iterations": 1,
        ...         "interactions_per_iteration": 10,
        ...         "training": {"epochs": 1, "image_size": 32},
        ...     }
        ... )
        >>> run.state, len(run.results), len(run.ledger())
        ('finished', 1, 10)
    """
    with _as_a_call(verbose=verbose):
        if not isinstance(experiment, Mapping):
            raise InputError(f"experiment: should be a mapping of settings, not of type {type(experiment).__name__}")
        sweep = {"name": "experiment", "experiment": experiment}
        (experiment_id,) = load_sweep(sweep, build.REGISTRIES).experiments
        done = _run(
            {"name": folder_name(experiment_id), "experiment": experiment},
            storage=os.fspath(storage),
            local=True,
            resume=True,
            track=track,
            report=False,
        ).experiment(experiment_id)
    if done.state == "failed":
        raise ExperimentFailedError(done.id, done.reason, done.folder)
    return done


def folder_name(experiment_id: str) -> str:
    """Return an experiment id, shortened to the maximal length of a sweep's name; the digest at its end is kept."""
    if len(experiment_id) <= MAX_NAME:
        return experiment_id
    return experiment_id[: MAX_NAME - DIGEST] + experiment_id[-DIGEST:]


def _run(sweep: str | Mapping[str, Any], **request: Any) -> SweepResults:
    from raycal.sweep.command import run
    from raycal.sweep.job import Request, prepare

    job = prepare(Request(sweep=sweep, **request))
    run(job)
    return read_folder(job.sweep_dir.folder)


def _source(sweep: object) -> str | Mapping[str, Any]:
    """The path of a sweep file as text, or the mapping as it is."""
    if isinstance(sweep, Mapping):
        return sweep
    if isinstance(sweep, str | os.PathLike):
        return str(os.fspath(sweep))
    raise InputError(f"sweep: should be the path of a sweep file or a mapping, not of type {type(sweep).__name__}")


@contextmanager
def _as_a_call(*, verbose: bool) -> Iterator[None]:
    """Restore signal handlers, standard output and visible GPUs of the caller's process when the call ends."""
    gpus = os.environ.get(GPUS)
    try:
        with in_python_words(), signals_of_a_call():
            if verbose:
                yield
            else:
                with redirect_stdout(io.StringIO()):
                    yield
    finally:
        os.environ.pop(GPUS, None)
        if gpus is not None:
            os.environ[GPUS] = gpus
