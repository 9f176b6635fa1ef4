"""What `raycal.sweep` does: check everything, plan, run what is unfinished, tell how it went."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from raycal import build
from raycal.check import check, select
from raycal.config import ExperimentConfig, Sweep, load_sweep
from raycal.cost import print_estimate
from raycal.distributed.resources import Allotment, Node, allot
from raycal.errors import InputError
from raycal.experiment import run_experiment
from raycal.files import Folder
from raycal.plan import Plan, SweepDir
from raycal.progress import Progress
from raycal.start_cost import StartCost
from raycal.summary import print_failures, print_summary
from raycal.this_machine import this_machine
from raycal.tracking import Tracker, tracking_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of the command line, checked.

    Attributes:
        selected: The experiments asked for, by id.
        plan: Of an earlier start; None at the first.
    """

    sweep: Sweep
    selected: Mapping[str, ExperimentConfig]
    sweep_dir: SweepDir
    plan: Plan | None
    tracking_uri: str

    def unfinished(self) -> dict[str, ExperimentConfig]:
        """The selected experiments that have neither run to their end nor been stopped early."""
        return {key: config for key, config in self.selected.items() if not self.sweep_dir.run_dir(key).is_done}


class Follower:
    """Prints progress, wakes the tracker, and records the failure of an experiment that could not do so itself."""

    def __init__(self, sweep_dir: SweepDir, progress: Progress, tracker: Tracker, start_cost: StartCost) -> None:
        self._sweep_dir, self._progress, self._tracker = sweep_dir, progress, tracker
        self._start_cost = start_cost

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began, so long after there was room for the experiment."""
        self._start_cost.started(seconds)

    def iteration(self, experiment_id: str, line: Mapping[str, Any]) -> None:
        """An iteration was saved."""
        self._progress.iteration(experiment_id, line)
        self._tracker.changed(experiment_id)

    def finished(self, experiment_id: str) -> None:
        """An experiment ended, well or with its failure recorded."""
        self._progress.ended(experiment_id, self._sweep_dir.run_dir(experiment_id).error())
        self._tracker.changed(experiment_id)

    def died(self, experiment_id: str, reason: str) -> None:
        """An experiment ended, perhaps without a record of its failure."""
        run_dir = self._sweep_dir.run_dir(experiment_id)
        if run_dir.error() is None and not run_dir.is_finished:
            run_dir.fail(f"on Ray: {reason}")
        self.finished(experiment_id)


def run_command(options: Namespace) -> int:
    """Carry out a command line; 0 when all trials finished, 1 when some failed.

    Raises:
        InputError: The input is wrong; nothing was started and nothing written.
    """
    sweep = load_sweep(options.sweep, build.REGISTRIES, overrides=options.overrides)
    selected = select(sweep.experiments, options.only)
    infos = check(selected or sweep.examples)
    sweep_dir = SweepDir(_storage(options.storage).folder(sweep.name))
    _check_writable(sweep_dir.folder)
    plan = _earlier_plan(sweep, sweep_dir, resume=options.resume or options.dry_run)
    job = Job(
        sweep=sweep,
        selected=selected,
        sweep_dir=sweep_dir,
        plan=plan,
        tracking_uri=tracking_uri(sweep.tracking.uri, sweep_dir),
    )
    if options.dry_run:
        print_estimate(sweep, selected, infos, lambda: _allot(job, [this_machine()], local=options.local))
        return 0
    todo = job.unfinished()
    print(f"{sweep.name}: {len(selected)} trials, {len(todo)} to run")
    print(f"  folder  {sweep_dir.folder.path}\n  MLflow  {job.tracking_uri}", flush=True)
    tracker = _run(job, todo, options) if todo else _track_again(job)
    print_summary(sweep_dir, selected)
    unfinished = job.unfinished()
    print_failures(sweep_dir, unfinished)
    print(f"folder  {sweep_dir.folder.path}\nMLflow  {job.tracking_uri}")
    print(f"browse  {how_to_browse(job.tracking_uri, tracker.page)}", flush=True)
    return 1 if unfinished else 0


def _run(job: Job, todo: Mapping[str, ExperimentConfig], options: Namespace) -> Tracker:
    """Run what is unfinished; the tracker, closed."""
    build.prepare(todo)
    with _ray_or_here(options) as nodes:
        allotment = _allot(job, nodes, local=options.local)
        print(f"  running {allotment}\n", flush=True)
        with _lock(job.sweep_dir.folder):
            if job.plan is None:
                plan = Plan(sweep=job.sweep.name, experiments=job.sweep.experiments, threads=allotment.threads)
                job.sweep_dir.write_plan(plan)
            for experiment_id in todo:
                job.sweep_dir.run_dir(experiment_id).forget_failure()
            with _tracked(job) as tracker:
                start_cost = StartCost(allotment.concurrent_trials)
                progress = Progress(todo, concurrent=allotment.concurrent_trials)
                follower = Follower(job.sweep_dir, progress, tracker, start_cost)
                if options.local:
                    _run_here(todo, job.sweep_dir, allotment, follower)
                else:
                    from raycal.distributed.fan_out import fan_out

                    fan_out(job.sweep_dir.folder.uri, todo, allotment, follower)
                    print(start_cost, flush=True)
    return tracker


def _track_again(job: Job) -> Tracker:
    """Send what MLflow lacks of a finished sweep; the tracker, closed."""
    with _lock(job.sweep_dir.folder), _tracked(job) as tracker:
        return tracker


def how_to_browse(uri: str, page: str) -> str:
    """Where to look at the runs: on a server, or with the command that serves a database."""
    if urlsplit(uri).scheme in ("http", "https", "databricks"):
        return uri.rstrip("/") + page
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = shlex.join([str(python), "-m", "mlflow", "ui", "--backend-store-uri", uri])
    return f"{command}\n        then open http://127.0.0.1:5000{page}"


def _storage(place: str) -> Folder:
    """The storage folder.

    Raises:
        InputError: A relative path in a Ray job, whose working directory is deleted at its end.
    """
    in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
    if in_job and "://" not in place and not os.path.isabs(os.path.expanduser(place)):
        raise InputError(f"--storage {place}: in a Ray job give an absolute path or a URI; a job's folder is temporary")
    return Folder.at(place)


def _check_writable(folder: Folder) -> None:
    """Refuse a local folder that cannot be made, without making it."""
    path = Path(folder.path)
    if not folder.is_local:
        return
    nearest = next(above for above in (path, *path.parents) if os.path.lexists(above))
    if not os.path.isdir(nearest):
        raise InputError(f"--storage: {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"--storage: no permission to write in {nearest}")


def _earlier_plan(sweep: Sweep, sweep_dir: SweepDir, *, resume: bool) -> Plan | None:
    """The plan of an earlier start, compared with what is asked for now."""
    try:
        plan = sweep_dir.read_plan()
    except OSError as error:
        raise InputError(f"--storage: {sweep_dir.folder.path} cannot be read: {error}") from error
    if plan is None:
        return None
    if not resume:
        raise InputError(
            f"{sweep_dir.folder.path}: this sweep was started before; add --resume to go on, "
            "or take another name or --storage"
        )
    sweep_dir.check_unchanged(plan, sweep)
    return plan


def _allot(job: Job, nodes: list[Node], *, local: bool) -> Allotment:
    """What each trial gets; in this process as many threads as on Ray, for the same bits, but one trial at a time."""
    resources = job.sweep.resources
    allotment = allot(
        resources,
        nodes,
        job.sweep.num_trials,
        workers=1 if local else resources.workers_per_trial,
        threads=None if job.plan is None else job.plan.threads,
    )
    if local:
        return replace(allotment, concurrent_trials=1, clustering=())
    return allotment.at_most(len(job.selected) or job.sweep.num_trials)


@contextmanager
def _ray_or_here(options: Namespace) -> Iterator[list[Node]]:
    """The nodes to run on: those of a Ray cluster, or this machine."""
    if options.local:
        yield [this_machine()]
        return
    from raycal.distributed.session import ray_session

    with ray_session(options.address) as nodes:
        yield nodes


def _lock(folder: Folder) -> AbstractContextManager[Any]:
    """Keeps a second process off the folder of a running sweep."""
    if not folder.is_local:
        return nullcontext()
    Path(folder.path).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(folder.path) / ".lock", blocking=False)
    try:
        return lock.acquire()
    except Timeout as error:
        raise InputError(f"{folder.path}: another process is running this sweep") from error


@contextmanager
def _tracked(job: Job) -> Iterator[Tracker]:
    """Track what happens meanwhile; at the end the sweep's run gets its status."""
    tracker = Tracker(job.tracking_uri, job.sweep_dir, job.sweep.name, job.selected)
    tracker.start()
    status = "KILLED"
    try:
        yield tracker
        status = "FAILED" if job.unfinished() else "FINISHED"
    finally:
        tracker.close(status)


def _run_here(
    todo: Mapping[str, ExperimentConfig], sweep_dir: SweepDir, allotment: Allotment, follower: Follower
) -> None:
    """One experiment after another in this process."""
    for experiment_id, config in todo.items():

        def observe(line: dict[str, Any], result: Any, key: str = experiment_id) -> None:
            follower.iteration(key, line)

        run_experiment(config, sweep_dir.run_dir(experiment_id), threads=allotment.threads, observers=(observe,))
        follower.finished(experiment_id)
