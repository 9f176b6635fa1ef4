"""Opens a project, and serves its page while the rounds run."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from threading import Event
from typing import NamedTuple

from raycal.algorithm.questions import StepQuestions
from raycal.annotate.ended import farewell, lines_of_the_end
from raycal.annotate.opening import OpeningProject
from raycal.annotate.reporting import Reporter
from raycal.annotate.rounds import Rounds
from raycal.annotate.samples import Opened, ProjectSamples
from raycal.annotate.serve import ServerOptions, listen, serve
from raycal.annotate.tokens import Tokens
from raycal.annotate.unknown_classes import unknown_classes
from raycal.annotate.worker import Task
from raycal.capacity.allocate import Node
from raycal.capacity.machine import this_machine
from raycal.config import ExperimentConfig
from raycal.data import ImageDataset, LoadedDataset
from raycal.data.pictures import Pictures
from raycal.errors import StoppedError, counted
from raycal.experiment import build
from raycal.experiment.downloads import downloads, fetch_weights
from raycal.experiment.with_people import WorkerOrder
from raycal.people.checks import CheckRates
from raycal.people.guidelines import Guidelines
from raycal.people.looks import Looks
from raycal.people.probes import ProbeSettings, write_settings
from raycal.people.project import Project, project_id
from raycal.people.rule_states import out_of_reach
from raycal.people.shown import first_shown
from raycal.people.stopping import StopRules, write_rules
from raycal.storage.folder import Folder
from raycal.storage.inputs import Inputs
from raycal.storage.run_dir import PEOPLE
from raycal.sweep.job import Job
from raycal.sweep.preflight import describe
from raycal.sweep.run import allocate_trials, reopened, take_folder, tracked
from raycal.tracking import NoTracker, Tracker
from raycal.tracking.uri import without_secrets

logger = logging.getLogger(__name__)

INTERRUPTED = 128 + signal.SIGINT
# The file with the address at which the newest server of a project can be reached. The file does not hold the token.
ADDRESS = f"{PEOPLE}/address.txt"


def serve_and_train(
    job: Job,
    config: ExperimentConfig,
    samples: ProjectSamples,
    run_folder: Folder,
    server_options: ServerOptions,
    address: str | None,
    project_file: str,
) -> int:
    """Serve the page, and run the rounds. If an address is given, the model is trained on the Ray cluster there."""
    (info,) = job.infos.values()
    for needed in downloads([config], job.infos):
        print(f"{job.sweep.name}: {needed}", flush=True)
    if address is None:
        fetch_weights(config)  # the weights must be here before the project is written
    with ExitStack() as held:
        held.enter_context(job.sweep_dir.lock("serving this project"))
        listener = held.enter_context(listen(server_options))
        _print_start(job, config)
        opening = OpeningProject(_known_facts(job, config, run_folder))
        opened: list[_OpenedProject] = []

        def read_samples_and_run(must_stop: Event) -> None:
            def tell(done: int, total: int) -> None:
                if must_stop.is_set():
                    raise StoppedError("the server ends")
                opening.tell(done, total)

            with suppress(StoppedError):
                loaded = samples.open(config, run_folder, tell)
            if must_stop.is_set():
                return
            opened.append(_open_project(job, config, run_folder, loaded, address, held, opening.epoch))
            opening.open(opened[0].project, opened[0].pictures)
            for line in _state_so_far(job, opened[0].project):
                print(f"  {line}", flush=True)
            opened[0].rounds.run(must_stop)
            if not must_stop.is_set():
                end = lines_of_the_end(
                    opened[0].rounds.run_dir,
                    job.sweep_dir.folder,
                    file=project_file,
                    overrides=job.request.overrides,
                    noun=info.noun,
                    stops_automatically=job.sweep.stop.automatically,
                )
                for line in end:
                    print(f"  {line}", flush=True)

        tokens = Tokens(run_folder.folder(PEOPLE))
        run_folder.write(ADDRESS, server_options.link(listener.getsockname()[1], "").encode())
        print("  Ctrl-C stops the server; the same command continues the project", flush=True)
        try:
            code = serve(opening, opening, tokens, server_options, background=read_samples_and_run, listener=listener)
            place = job.sweep_dir.folder.place
            if not opened:
                print(
                    f"the {info.kind} are not read yet; the same command reads them again; all answers are in {place}"
                )
                return code
            print(farewell(opened[0].rounds.run_dir, place, opened[0].project.state("")), flush=True)
            if code in (0, INTERRUPTED):  # after SIGTERM, the process may be killed within seconds
                _conclude(opened[0].job, opened[0].reporter, opened[0].tracker)
        finally:
            for one in opened:
                one.reporter.stop()
        return code


class _OpenedProject(NamedTuple):
    """The objects that serve a project whose samples were read."""

    job: Job
    project: Project
    pictures: Pictures | None
    rounds: Rounds
    reporter: Reporter
    tracker: Tracker | NoTracker


def _open_project(
    job: Job,
    config: ExperimentConfig,
    run_folder: Folder,
    opened: Opened,
    address: str | None,
    held: ExitStack,
    epoch: str,
) -> _OpenedProject:
    """Open the log of a project, take its folder, and prepare its rounds.

    Args:
        opened: The samples.
        address: See `_label`.
        held: Closes what this function opens.
        epoch: See `Project`.
    """
    project = held.enter_context(new_project(job, config, run_folder, opened.dataset, epoch))
    dataset = opened.dataset
    pictures = held.enter_context(Pictures(dataset, opened.root)) if isinstance(dataset, ImageDataset) else None
    allocation = allocate_trials(job, [machine_of_the_model(job, address)])
    job, lease = take_folder(job, {}, allocation.threads, Inputs())
    write_rules(run_folder, _stop_rules(job))
    write_settings(run_folder, ProbeSettings(**job.sweep.probes.model_dump()))
    tracker = held.enter_context(tracked(job))
    (key,) = job.selected
    run_dir = job.sweep_dir.run_dir(key)
    if reopened(job, config.iterations):
        again = "the model learns again from the answers of the finished rounds, because it was removed at their end"
        print(f"  the project goes on to {config.iterations} rounds; {again}", flush=True)
    reporter = Reporter(job.sweep_dir.folder, run_dir, project.rounds_before)

    def prepare(step: StepQuestions) -> None:
        if pictures is not None:
            pictures.prepare(first_shown(step, dataset.train_rows))

    def round_may_have_ended() -> None:
        tracker.changed(key)
        reporter.update()

    rounds = Rounds(
        task=Task(
            order=WorkerOrder(
                config=config,
                sweep_folder=job.sweep_dir.folder.uri,
                lease=lease.record,
                settings=allocation.of_worker,
                plugins=tuple(job.sweep.plugins),
                working_directory=os.getcwd(),
                folder=key,
                doubts_labels=job.sweep.checks.look_again > 0,
            ),
            address=address,
        ),
        run_dir=run_dir,
        desk=project,
        clustering=build.clustering(config),
        on_commit=round_may_have_ended,
        on_open=prepare,
        kind=dataset.kind,
    )
    if pictures is not None and not dataset.class_names:
        pictures.prepare(dataset.test_rows)
    return _OpenedProject(job, project, pictures, rounds, reporter, tracker)


def new_project(job: Job, config: ExperimentConfig, run_folder: Folder, dataset: LoadedDataset, epoch: str) -> Project:
    """The project, as its file describes it. `epoch` distinguishes this start of the server from others."""
    has_labels = bool(dataset.class_names)
    scenario = config.resolved_scenario
    return Project(
        name=job.sweep.name,
        run_folder=run_folder,
        dataset=dataset,
        class_names=dataset.class_names,
        may_add_classes=not has_labels,
        holdout=0 if has_labels else dataset.num_test,
        rounds=scenario.iterations(config.iterations),
        round_budget=dataset.num_train if scenario.whole_pool else config.interactions_per_iteration,
        stop_rules=_stop_rules(job),
        checks=CheckRates(**job.sweep.checks.model_dump()),
        seed=config.seed,
        guidelines=Guidelines(**job.sweep.guidelines.model_dump()),
        looks=Looks(**job.sweep.looks.model_dump()),
        epoch=epoch,
    )


def _stop_rules(job: Job) -> StopRules:
    return StopRules(**job.sweep.stop.model_dump())


def _known_facts(job: Job, config: ExperimentConfig, run_folder: Folder) -> dict[str, object]:
    """The part of the state of a project that is known before its samples are read."""
    (info,) = job.infos.values()
    scenario = config.resolved_scenario
    return {
        "project": job.sweep.name,
        "project_id": project_id(run_folder),
        "noun": info.noun,
        "rounds": scenario.iterations(config.iterations),
        "budget": info.num_train if scenario.whole_pool else config.interactions_per_iteration,
        "total": info.num_train + (0 if info.num_classes else info.num_test),
    }


def _conclude(job: Job, reporter: Reporter, tracker: Tracker | NoTracker) -> None:
    """Wait for the report, say where it is, and describe the results in MLflow. An error is logged."""
    report = reporter.finish()
    if report is None:
        return
    print(f"report  {report}", flush=True)
    if job.tracking_uri is None:
        return
    from raycal.report.for_mlflow import sweep_description  # slow to import
    from raycal.report.runs import read_runs

    try:
        tracker.describe(sweep_description(read_runs(job.sweep_dir.folder)))
    except Exception as error:  # the labels and the report are complete
        logger.warning("MLflow gets no description of the project: %s: %s", type(error).__name__, error)


def machine_of_the_model(job: Job, address: str | None) -> Node:
    """The part of this machine that a training may use. One core is left to the server and the browser, so that the
    page stays quick during a training.

    A training with more threads than there are free cores takes many times longer. If the project file sets the number
    of cores, no core is left out.
    """
    machine = this_machine()
    if address is not None or job.plan is not None or job.sweep.resources.cpus_per_worker is not None:
        return machine
    return replace(machine, cpus=max(1, machine.cpus - 1))


def _print_start(job: Job, config: ExperimentConfig) -> None:
    """Print which samples there are, where the answers are kept, and what is doubtful."""
    print(f"{job.sweep.name}: people label, and a model learns\n  folder  {job.sweep_dir.folder.place}")
    if job.tracking_uri is not None:
        print(f"  MLflow  {without_secrets(job.tracking_uri)}")
    print(*(f"  {line}" for line in (*describe(job.infos.values()), *job.warnings())), sep="\n")
    (info,) = job.infos.values()
    cached = ", which later starts find in the cache" if info.kind == "images" else ""
    print(f"  reading the {info.kind}{cached}", flush=True)


def _state_so_far(job: Job, project: Project) -> Iterator[str]:
    """How many samples have a label when the project is opened, which classes of the guidelines it does not have, and
    which stopping rules can never hold."""
    state, memory = project.state(""), project.memory
    if state["labeled"]:
        yield f"{state['labeled']:,} of {counted(state['total'], state['noun'])} have a label so far"
    names = [one["name"] for one in state["classes"]]
    guidelines = Guidelines(**job.sweep.guidelines.model_dump())
    yield from unknown_classes(guidelines, names, are_fixed=not state["may_add_classes"])
    size = memory.holdout_size or memory.dataset.num_test
    yield from out_of_reach(_stop_rules(job), job.sweep.stop.model_fields_set, size, state["noun"])
