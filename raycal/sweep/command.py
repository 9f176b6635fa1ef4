"""The steps of `raycal.sweep`: check the input, plan the trials, run those that are not finished, print the results."""

import logging
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raycal.capacity.allocate import Allocation, Node, allocate
from raycal.capacity.gpu_shares import hide_gpus
from raycal.capacity.machine import this_machine
from raycal.config import ExperimentConfig
from raycal.config.labels import counted
from raycal.dry_run.cost import DONE, print_estimate
from raycal.dry_run.prices import own_price
from raycal.dry_run.rates import ASSUMED, GpuRate, measured_rate
from raycal.errors import InputError, StorageError, TakenOverError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.experiment.run import run_experiment
from raycal.installed import need_ray
from raycal.monitor.listener import ConsoleListener
from raycal.monitor.progress import Progress
from raycal.monitor.startup import StartCost
from raycal.monitor.summary import print_failures, print_summary
from raycal.storage.inputs import ExpectedInputs, InputRecord, Inputs, keep_sources
from raycal.storage.lease import Lease
from raycal.storage.results import IterationRecord, area_under_budget_curve
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.sweep.job import Job, Request, labels_of, prepare
from raycal.sweep.preflight import describe
from raycal.tracking import NoTracker, Tracker
from raycal.tracking.databricks import databricks_page, is_databricks
from raycal.tracking.reach import check_tracking
from raycal.tracking.schema import missing_folder
from raycal.tracking.untracked import why_untracked
from raycal.tracking.uri import has_secrets, is_server, sqlite_path, with_placeholders, without_secrets

if TYPE_CHECKING:
    from raycal.distributed.prometheus import MeteredListener
    from raycal.distributed.suggestions import Suggestions

logger = logging.getLogger(__name__)


def run_command(options: Namespace) -> int:
    """Carry out a command line and return its exit code: 0 if all trials finished, 1 if some failed.

    Raises:
        InputError: The input is wrong; nothing was started or written.
    """
    rate, price = _rate_and_price(options)
    request = Request(
        sweep=options.sweep,
        storage=options.storage,
        address=options.address,
        local=options.local,
        resume=options.resume or options.dry_run,
        only=options.only,
        overrides=options.overrides,
    )
    job = prepare(request)
    if options.dry_run:
        print(*describe(job.infos.values()), "", sep="\n", flush=True)
        _refuse_changed_inputs(job, Inputs())
        _print_estimate(job, rate, price)
        for needed in downloads((job.selected or job.sweep.examples).values(), job.infos):
            print(needed)
        return 0
    run(job)
    return 1 if job.unfinished() else 0


def run(job: Job) -> None:
    """Run the unfinished experiments of a job, and print the results.

    Raises:
        InputError: Existing results are damaged, or the tracking server or the machines cannot be used.
    """
    if job.num_left and not job.request.local:
        need_ray(otherwise=", or add --local to run one trial after another in this process")
    _check_whole(job)
    uri, place = job.tracking_uri, job.sweep_dir.folder.place
    job = job if uri is None else replace(job, away=check_tracking(uri))
    for experiment_id in job.selected:
        RunWriter.of(job.sweep_dir, experiment_id).tidy()
    print(f"{job.sweep.name}: {counted(job.num_trials, 'trial')}, {job.num_left} to run\n  folder  {place}")
    if uri is not None:
        print(f"  MLflow  {without_secrets(uri)}", *_notes_on(uri, job), sep="\n          ")
    elif job.request.track:
        print(f"  MLflow  {why_untracked(job.sweep_dir, job.sweep.tracking.uri)}")
    print(*(f"  {line}" for line in describe(job.infos.values())), sep="\n", flush=True)
    todo = job.unfinished()
    inputs = build.prepare({**todo, **job.sweep.examples}) if job.num_left else Inputs()
    _refuse_changed_inputs(job, inputs)
    tracker = _run(job, todo, inputs) if job.num_left else _track_again(job)
    print_summary(job.sweep_dir, job.selected)
    print_failures(job.sweep_dir, job.unfinished(), job.printed_labels)
    print(f"folder  {place}", flush=True)
    if uri is not None:
        print(f"MLflow  {without_secrets(uri)}", flush=True)
        if browse := how_to_browse(uri, tracker.page):
            print(f"browse  {browse}", flush=True)


def _notes_on(uri: str, job: Job) -> Iterator[str]:
    """Yield notes to print about the tracking URI at the start."""
    path = sqlite_path(uri)
    folder = None if path is None else missing_folder(path)
    if folder is not None and not Path(job.sweep_dir.folder.path).is_relative_to(folder):
        yield f"the folder {folder} is not there yet, and is made now"
    if job.away:
        yield f"{job.away}; the runs are kept in the folder above, and what is missing is sent when it answers"


def _rate_and_price(options: Namespace) -> tuple[GpuRate, float | None]:
    """The speed and the price per hour of the user's GPU, from the options `--bench` and `--price`."""
    given = {"--bench": options.bench, "--price": options.price}
    unused = [name for name, value in given.items() if value is not None and not options.dry_run]
    if unused:
        raise InputError(*(f"{name}: is for the estimate; add --dry-run" for name in unused))
    rate = ASSUMED if options.bench is None else measured_rate(options.bench)
    return rate, None if options.price is None else own_price(options.price)


def _print_estimate(job: Job, rate: GpuRate, price: float | None) -> None:
    """Print which trials the sweep would run, and their estimated cost."""
    states = {}
    if job.extension is not None and not job.sweep.base:
        todo, new = job.unfinished(), set(job.extension.new)
        states = {key: "new" if key in new else "to run" if key in todo else DONE for key in job.selected}
    print_estimate(
        job.sweep,
        {} if job.sweep.base else job.selected,
        job.infos,
        lambda: _allocate(job, [this_machine()]),
        rate,
        price,
        labels=job.labels,
        states=states,
        num_left=job.num_left,
        local=job.request.local,
    )


def _refuse_changed_inputs(job: Job, prepared: Inputs) -> None:
    """Refuse to continue if images or weights differ from those at the sweep's start, even if nothing is left to run.

    Args:
        job: The job.
        prepared: The inputs that were read for the trials to run. All other recorded inputs of the sweep are read here,
            as far as they are on this machine.

    Raises:
        InputError: Images or weights have changed; the lines of the error name them.
    """
    record = InputRecord(job.sweep_dir.folder)
    to_run = {**job.unfinished(), **job.sweep.examples} if job.num_left else {}
    again = build.read_again({**to_run, **job.selected}, record.recorded(), but=prepared)
    record.check(prepared.with_others(again))


def _run(job: Job, todo: dict[str, ExperimentConfig], inputs: Inputs) -> Tracker | NoTracker:
    """Run the experiments in `todo`, on inputs that match the record, and return the closed tracker."""
    expected = build.expected_inputs(inputs, todo)
    inputs = replace(inputs, plugins={plugin.name: plugin.record() for plugin in job.sweep.plugins})
    with _ray_or_here(job.request) as nodes:
        if job.sweep.plugins and not job.request.local:
            from raycal.distributed.plugins_on_nodes import check_plugins

            check_plugins(job.sweep.plugins)
        allocation = _allocate(job, nodes)
        print(f"  running {allocation}\n", flush=True)
        with job.sweep_dir.lock():
            job, lease = _begin(job, todo, allocation.threads, inputs)
            with _tracked(job) as tracker, _holding_lease(lease):
                start_cost = StartCost(allocation.concurrent_trials)
                progress = Progress(todo, concurrent=allocation.concurrent_trials, labels=job.printed_labels)
                listener = ConsoleListener(job.sweep_dir, progress, tracker, start_cost)
                if job.request.local:
                    if job.sweep.resources.gpus_per_worker == 0:
                        hide_gpus()
                    _run_here(todo, job.sweep_dir, allocation, listener, expected)
                else:
                    _run_on_ray(job, todo, allocation, lease, listener, tracker, expected)
                    print(start_cost, flush=True)
                lease.check()
                if job.request.report:
                    _report(job)
    return tracker


def _begin(job: Job, todo: Mapping[str, ExperimentConfig], threads: int, inputs: Inputs) -> tuple[Job, Lease]:
    """Take ownership of the folder, write the plan, record the inputs of the trials, and clear earlier failures.

    Returns:
        The job with a sweep folder that belongs to the owner, and the owner.
    """
    folder = job.sweep_dir.folder
    if job.sweep_dir.read_plan() != (None if job.extension is None else job.extension.earlier):
        raise InputError(f"{folder.place}: another process has changed the plan just now; start again with --resume")
    try:
        lease = Lease.take(folder)
        job = replace(job, sweep_dir=SweepDir(folder, lease))
        if job.extension is None or job.extension.is_changed:
            _plan(job, threads)
        else:
            job.sweep_dir.write_trials(job.extension.plan)
        InputRecord(folder).add(inputs)
        keep_sources(job.sweep.plugins, folder)
        for experiment_id in todo:
            RunWriter.of(job.sweep_dir, experiment_id).forget_failure()
    except StorageError:
        raise
    except OSError as error:
        raise InputError(f"--storage: {folder.place} cannot be written: {error.strerror or error}") from error
    return job, lease


@contextmanager
def _holding_lease(lease: Lease) -> Iterator[None]:
    """Replace any error by `TakenOverError` if another process has taken the folder, which then caused the error."""
    try:
        yield
    except Exception:
        with suppress(StorageError):
            lease.check()
        raise


def _report(job: Job) -> None:
    """Write the report into the sweep folder, from where it is sent to MLflow, and print its warnings.

    An error in the report is logged and does not fail the sweep.
    """
    folder = job.sweep_dir.folder.folder("report")
    from raycal.report.caveats import caveats
    from raycal.report.freshness import is_up_to_date
    from raycal.report.runs import read_runs

    try:
        runs = read_runs(job.sweep_dir.folder.uri)
        if not folder.exists("report.html") or not is_up_to_date(runs, folder):
            from raycal.report.write import write_report  # imports matplotlib, which is slow

            write_report(runs, folder)
        print(f"report  {folder.place}/report.html", flush=True)
        for caveat in caveats(runs):
            print(f"warning: {caveat}", flush=True)
    except Exception as error:  # the runs are complete, and `python -m raycal.report` shows the full error
        logger.warning("no report: %s: %s", type(error).__name__, error)


def _plan(job: Job, threads: int) -> None:
    """Write the plan of the sweep; for a search that decides trial by trial, with the trials known so far."""
    sweep = job.sweep
    if sweep.base:
        plan = SweepPlan(
            sweep=sweep.name, experiments=job.selected, threads=threads, search=sweep.search, base=sweep.base
        )
    elif job.plan is None:
        plan = SweepPlan(sweep=sweep.name, experiments=sweep.experiments, threads=threads, axes=sweep.axes)
    else:
        plan = job.plan
    job.sweep_dir.write_plan(plan)


def _run_on_ray(
    job: Job,
    todo: dict[str, ExperimentConfig],
    allocation: Allocation,
    lease: Lease,
    listener: ConsoleListener,
    tracker: Tracker | NoTracker,
    expected: Mapping[str, ExpectedInputs],
) -> None:
    """Run the experiments in `todo` on Ray, as many at a time as fit, with metrics for Prometheus."""
    from raycal.distributed.prometheus import Recorder, metered

    recorder = Recorder(job.sweep.name, job.sweep_dir, job.selected, job.num_trials, lambda: tracker.backlog)
    with metered(listener, recorder) as listener_on_ray:
        _fan_out(job, todo, allocation, lease, listener_on_ray, expected)


def _fan_out(
    job: Job,
    todo: dict[str, ExperimentConfig],
    allocation: Allocation,
    lease: Lease,
    listener: "MeteredListener",
    expected: Mapping[str, ExpectedInputs],
) -> None:
    """Run the experiments in `todo` on Ray, or those that a search suggests trial by trial."""
    from raycal.distributed.fan_out import fan_out

    suggestions = _suggestions(job, todo, allocation.threads)
    fan_out(
        job.sweep_dir.folder.uri,
        todo if suggestions is None else {},
        allocation,
        listener,
        lease=lease,
        expected=expected,
        plugins=job.sweep.plugins,
        scheduler=job.sweep.scheduler,
        suggestions=suggestions,
        num_samples=1 if suggestions is None else job.num_left,
    )


def _suggestions(job: Job, todo: dict[str, ExperimentConfig], threads: int) -> "Suggestions | None":
    """The search that decides trial by trial which experiments there are; None if all of them are known."""
    sweep = job.sweep
    if sweep.search is None or sweep.base is None:
        return None
    from raycal.distributed.suggestions import Suggestions

    def plan(config: ExperimentConfig) -> None:
        job.selected[config.experiment_id] = todo[config.experiment_id] = config
        job.labels.update(labels_of(sweep, job.selected))
        _plan(job, threads)

    outcomes = {
        key: area_under_budget_curve(job.sweep_dir.run_dir(key).results()) for key in job.selected if key not in todo
    }
    return Suggestions(sweep.search, job.selected, outcomes, sweep.experiment_of, plan)


def _track_again(job: Job) -> Tracker | NoTracker:
    """Write the report of a finished sweep, which a kill may have interrupted, and send everything that MLflow lacks.

    Returns:
        The closed tracker.
    """
    with job.sweep_dir.lock():
        if job.extension is not None and job.extension.is_changed:  # its new trials are all done or not selected
            job, _ = _begin(job, {}, job.extension.plan.threads, Inputs())
        with _tracked(job) as tracker:
            if job.request.report:
                _report(job)
            return tracker


def how_to_browse(uri: str, page: str) -> str:
    """How to view the runs in a browser: the address on a server, or the command that serves a database.

    Args:
        uri: The tracking URI.
        page: The path of the sweep's charts in the MLflow UI; empty if MLflow has nothing of the sweep.

    Returns:
        Lines to print; empty if there is nothing to view.
    """
    if not page:
        return ""
    if is_databricks(uri):
        return databricks_page(uri, page)
    if is_server(uri):
        return without_secrets(uri).rstrip("/") + page
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = shlex.join([str(python), "-m", "mlflow", "ui", "--backend-store-uri", with_placeholders(uri)])
    if has_secrets(uri):  # do not print the password; use the environment variable if it holds the URI
        if os.environ.get("MLFLOW_TRACKING_URI", "").strip() == uri:
            command = command.replace(shlex.quote(with_placeholders(uri)), '"$MLFLOW_TRACKING_URI"')
        else:
            command += (
                "\n        with your own in place of what is in capitals, as in tracking.uri: passwords are not printed"
            )
    return f"{command}\n        then open http://127.0.0.1:5000{page}"


def _check_whole(job: Job) -> None:
    """Refuse to continue if files of experiments changed after these had ended."""
    problems = [problem for key in job.selected for problem in job.sweep_dir.run_dir(key).damage()]
    if problems:
        raise InputError(*problems)


def _allocate(job: Job, nodes: list[Node]) -> Allocation:
    """The resources of each trial.

    With `--local`, one trial runs at a time, with as many threads as on Ray so that the results are bit-identical.
    """
    resources, local = job.sweep.resources, job.request.local
    allocation = allocate(
        resources,
        nodes,
        job.sweep.num_trials,
        workers=1 if local else resources.workers_per_trial,
        threads=None if job.plan is None else job.plan.threads,
    )
    if local:
        return replace(allocation, concurrent_trials=1, clustering=())
    return allocation.at_most(job.num_trials)


@contextmanager
def _ray_or_here(request: Request) -> Iterator[list[Node]]:
    """The nodes to run on: those of a Ray cluster, or this machine."""
    if request.local:
        yield [this_machine()]
        return
    from raycal.distributed.session import ray_session

    with ray_session(request.address) as nodes:
        yield nodes


@contextmanager
def _tracked(job: Job) -> Iterator[Tracker | NoTracker]:
    """Track the sweep within this context; at its end, the sweep's run in MLflow gets its final status."""
    tracker: Tracker | NoTracker = NoTracker()
    if job.tracking_uri is not None:
        tracker = Tracker(job.tracking_uri, job.sweep_dir, job.sweep.name, job.tracked)
        tracker.is_known_away = bool(job.away)
    tracker.start()
    status: str | None = "KILLED"
    try:
        yield tracker
        status = "FAILED" if job.num_left else "FINISHED"
    except TakenOverError:
        status = None  # the runs now belong to the process that took over the sweep
        raise
    finally:
        if status is not None:
            tracker.close(status)


def _run_here(
    todo: Mapping[str, ExperimentConfig],
    sweep_dir: SweepDir,
    allocation: Allocation,
    listener: ConsoleListener,
    expected: Mapping[str, ExpectedInputs],
) -> None:
    """Run one experiment after another in this process."""
    from raycal.learner.device import free_memory, same_threads_afterwards

    for experiment_id, config in todo.items():

        def observe(line: IterationRecord, result: Any, key: str = experiment_id) -> None:
            listener.iteration(key, line)

        with same_threads_afterwards():
            run_experiment(
                config,
                RunWriter.of(sweep_dir, experiment_id),
                allocation.of_worker,
                observers=(observe,),
                expected=expected.get(experiment_id),
            )
        free_memory()
        listener.finished(experiment_id)
