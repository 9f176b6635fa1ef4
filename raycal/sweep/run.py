"""Runs the trials of a checked job: takes the machines and the folder, tracks, runs, reports, and releases everything
at the end."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raycal.algorithm.records import IterationResult
from raycal.capacity.allocate import Allocation, Node, allocate
from raycal.capacity.gpu_shares import hide_gpus
from raycal.capacity.machine import this_machine
from raycal.config import ExperimentConfig
from raycal.errors import InputError, StorageError, TakenOverError
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.monitor.listener import ConsoleListener
from raycal.monitor.progress import Progress
from raycal.monitor.startup import StartCost
from raycal.signals import raise_if_received
from raycal.storage.inputs import ExpectedInputs, InputRecord, Inputs, keep_sources
from raycal.storage.lease import Lease
from raycal.storage.results import IterationRecord, area_under_budget_curve
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.sweep.job import Job, goes_on_after_the_end, labels_of
from raycal.tracking import NoTracker, Tracker

if TYPE_CHECKING:
    from raycal.distributed.suggestions import Suggestions
    from raycal.report.answered import AnsweredSweep

logger = logging.getLogger(__name__)


def run_trials(
    job: Job, todo: dict[str, ExperimentConfig], inputs: Inputs
) -> tuple["AnsweredSweep", Mapping[str, str]]:
    """Run the trials of a job that are left, write the report, and send everything to MLflow.

    If no trial is left to run, the report is still written and sent, because an earlier process may have been killed
    before it wrote and sent the report.

    Args:
        job: The checked job.
        todo: The experiments to run, by id. A search that decides trial by trial adds experiments to them.
        inputs: The data that was read for these experiments, which matches the record of earlier starts.

    Returns:
        The runs with the answer, and the paths of the sweep's views in the MLflow UI, by the titles of the views. There
        are no paths if MLflow has nothing of the sweep.
    """
    with ExitStack() as held:  # Everything is released in reverse order, also after an error.
        if not job.num_left:
            held.enter_context(job.sweep_dir.lock())
            if job.extension is not None and job.extension.is_changed:
                # The extended search has new trials, but all of them are done or not selected.
                job, _ = take_folder(job, {}, job.extension.plan.threads, Inputs())
            tracker = held.enter_context(tracked(job))
        else:
            expected = build.expected_inputs(inputs, todo)
            allocation = allocate_trials(job, held.enter_context(_machines(job)))
            print(f"  running {allocation}\n\na line follows for every finished iteration of a trial", flush=True)
            held.enter_context(job.sweep_dir.lock())
            plugins = {plugin.name: plugin.record() for plugin in job.sweep.plugins}
            job, lease = take_folder(job, todo, allocation.threads, replace(inputs, plugins=plugins))
            tracker = held.enter_context(tracked(job))
            held.enter_context(_holding_lease(lease))
            SweepRun(
                job=job,
                todo=todo,
                expected=expected,
                allocation=allocation,
                lease=lease,
                tracker=tracker,
            ).run()
            lease.check()
        from raycal.report.answered import AnsweredSweep  # Imported here, so that the trials start early.

        sweep = AnsweredSweep(job.sweep_dir.folder)
        _conclude(job, sweep, tracker)
    return sweep, tracker.pages


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """A running sweep, which owns its folder and has everything that its trials need.

    Attributes:
        job: The job, whose sweep folder is written under the lease.
        todo: The experiments to run, by id. A search that decides trial by trial adds experiments to them.
        expected: The data and weights that each experiment must read, by experiment id.
        allocation: The resources of each trial.
        lease: The right to write in the folder.
        tracker: Sends the runs to MLflow.
    """

    job: Job
    todo: dict[str, ExperimentConfig]
    expected: Mapping[str, ExpectedInputs]
    allocation: Allocation
    lease: Lease
    tracker: Tracker | NoTracker

    def run(self) -> None:
        """Run the experiments, and print their progress."""
        start_cost = StartCost(self.allocation.concurrent_trials)
        progress = Progress(
            self.todo,
            concurrent=self.allocation.concurrent_trials,
            labels=self.job.printed_labels,
            num_trials=self.job.num_trials,
            earlier=self.job.earlier_results(),
        )
        listener = ConsoleListener(self.job.sweep_dir, progress, self.tracker, start_cost)
        if self.job.request.local:
            self._run_here(listener)
        else:
            self._run_on_ray(listener)
            print(start_cost, flush=True)

    def _run_here(self, listener: ConsoleListener) -> None:
        """Run one experiment after another in this process.

        The exception of a signal can get lost, for example in a finalizer, or be turned into another error by a
        library. So a signal ends the sweep after an iteration or an experiment at the latest.
        """
        from raycal.learner.device import free_memory, same_threads_afterwards

        if self.job.sweep.resources.gpus_per_worker == 0:
            hide_gpus()
        for experiment_id, config in self.todo.items():

            def observe(line: IterationRecord, result: IterationResult, key: str = experiment_id) -> None:
                listener.iteration(key, line)
                raise_if_received()

            with same_threads_afterwards():
                run_experiment(
                    config,
                    RunWriter.of(self.job.sweep_dir, experiment_id),
                    self.allocation.of_worker,
                    observers=(observe,),
                    expected=self.expected.get(experiment_id),
                )
            free_memory()
            raise_if_received()
            listener.finished(experiment_id)

    def _run_on_ray(self, listener: ConsoleListener) -> None:
        """Run the experiments on Ray, as many at a time as fit, with metrics for Prometheus."""
        from raycal.distributed.fan_out import fan_out
        from raycal.distributed.prometheus import Recorder, metered

        job, suggestions = self.job, self._suggestions()
        recorder = Recorder(job.sweep.name, job.sweep_dir, job.selected, job.num_trials, lambda: self.tracker.backlog)
        with metered(listener, recorder) as listener_on_ray:
            fan_out(
                job.sweep_dir.folder.uri,
                self.todo if suggestions is None else {},
                self.allocation,
                listener_on_ray,
                lease=self.lease,
                expected=self.expected,
                plugins=job.sweep.plugins,
                scheduler=job.sweep.scheduler,
                suggestions=suggestions,
                num_samples=1 if suggestions is None else job.num_left,
            )

    def _suggestions(self) -> "Suggestions | None":
        """The search that decides trial by trial which experiments are run. None if all experiments are known."""
        sweep, selected, todo = self.job.sweep, self.job.selected, self.todo
        if sweep.search is None or sweep.base is None:
            return None
        from raycal.distributed.suggestions import Suggestions

        def plan(config: ExperimentConfig) -> None:
            selected[config.experiment_id] = todo[config.experiment_id] = config
            self.job.labels.update(labels_of(sweep, selected))
            _write_plan(self.job, self.allocation.threads)

        run_dir = self.job.sweep_dir.run_dir
        outcomes = {key: area_under_budget_curve(run_dir(key).results()) for key in selected if key not in todo}
        return Suggestions(sweep.search, selected, outcomes, sweep.experiment_of, plan)


def allocate_trials(job: Job, nodes: list[Node]) -> Allocation:
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
def _machines(job: Job) -> Iterator[list[Node]]:
    """The machines to run on: the nodes of a Ray cluster, which must have the sweep's plug-ins, or this machine."""
    if job.request.local:
        yield [this_machine()]
        return
    print("  Ray     connecting, or starting it on this machine", flush=True)
    from raycal.distributed.plugins_on_nodes import check_plugins
    from raycal.distributed.session import ray_session

    with ray_session(job.request.address) as nodes:
        if job.sweep.plugins:
            check_plugins(job.sweep.plugins)
        yield nodes


def take_folder(job: Job, todo: Mapping[str, ExperimentConfig], threads: int, inputs: Inputs) -> tuple[Job, Lease]:
    """Take ownership of the folder, write the plan, record the inputs of the trials, and clear earlier failures.

    Returns:
        The job, whose sweep folder is written under the lease, and the lease.
    """
    folder = job.sweep_dir.folder
    if job.sweep_dir.read_plan() != (None if job.extension is None else job.extension.earlier):
        again = "start again" if job.request.people else "start again with --resume"
        raise InputError(f"{folder.place}: another process has just changed the plan; {again}")
    try:
        lease = Lease.take(folder)
        job = replace(job, sweep_dir=SweepDir(folder, lease))
        if job.extension is None or job.extension.is_changed:
            _write_plan(job, threads)
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


def reopened(job: Job, iterations: int) -> bool:
    """Let a project of people that has ended go on if its file has more iterations by now; return whether it does."""
    (key,) = job.selected
    goes_on = goes_on_after_the_end(job.sweep_dir.run_dir(key), iterations)
    if goes_on:
        RunWriter.of(job.sweep_dir, key).reopen()
    return goes_on


def _write_plan(job: Job, threads: int) -> None:
    """Write the plan of the sweep; if a search decides trial by trial, the plan has the trials known so far."""
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


@contextmanager
def tracked(job: Job) -> Iterator[Tracker | NoTracker]:
    """Track the sweep within this context; at its end, the sweep's run in MLflow gets its final status."""
    tracker: Tracker | NoTracker = NoTracker()
    if job.tracking_uri is not None:
        tracker = Tracker(job.tracking_uri, job.sweep_dir, job.sweep.name, job.tracked)
        tracker.is_known_away = bool(job.away)
        if job.request.people:
            tracker.again = "the same command"
    if job.num_left:
        tracker.start()  # Otherwise the tracker starts at its end, and only if MLflow does not have everything.
    status: str | None = "KILLED"
    try:
        yield tracker
        status = "FAILED" if job.num_left else "FINISHED"
    except TakenOverError:
        status = None  # The runs now belong to the process that took over the sweep.
        raise
    finally:
        if status is not None:
            tracker.close(status)


@contextmanager
def _holding_lease(lease: Lease) -> Iterator[None]:
    """Replace any error by `TakenOverError` if another process has taken the folder, because the loss of the folder
    caused the error."""
    try:
        yield
    except Exception:
        with suppress(StorageError):
            lease.check()
        raise


def _conclude(job: Job, sweep: "AnsweredSweep", tracker: Tracker | NoTracker) -> None:
    """Describe the results in MLflow, write the report into the sweep folder, and print its warnings. The tracker sends
    the report later.

    An error is logged and does not fail the sweep.
    """
    if not job.request.report and job.tracking_uri is None:
        return
    from raycal.report.for_mlflow import sweep_description

    try:
        if job.tracking_uri is not None:
            tracker.describe(sweep_description(sweep.runs, sweep.answers))
        if job.request.report:
            _report(job, sweep)
    except Exception as error:  # The runs are complete, and `python -m raycal.report` shows the full error.
        logger.warning("no report: %s: %s", type(error).__name__, error)


def _report(job: Job, sweep: "AnsweredSweep") -> None:
    """Write the report into the sweep folder unless it is up to date, and print its warnings."""
    folder = job.sweep_dir.folder.folder("report")
    from raycal.report.caveats import caveats
    from raycal.report.freshness import is_up_to_date

    if not folder.exists("report.html") or not is_up_to_date(sweep.runs, folder):
        from raycal.report.write import write_report  # This import also imports matplotlib, which is slow.

        write_report(sweep.runs, folder, sweep.answers)
    print(f"report  {folder.place}/report.html", flush=True)
    for caveat in caveats(sweep.runs):
        print(f"warning: {caveat}", flush=True)
