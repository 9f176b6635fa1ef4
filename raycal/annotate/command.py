"""The steps of `raycal.annotate`: check the input, open the project, and serve it while the rounds run."""

import os
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from raycal.annotate.folder_file import ProjectFile
from raycal.annotate.rounds import Rounds
from raycal.annotate.security import Tokens, checked_name
from raycal.annotate.serve import DEFAULT_PORT, ServerOptions, listen, serve
from raycal.annotate.worker import Task
from raycal.capacity.machine import this_machine
from raycal.config import ExperimentConfig
from raycal.config.labels import image_root
from raycal.data import ImageDataset
from raycal.data.images import UnlabeledImages
from raycal.data.pictures import Pictures
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.experiment.with_people import WorkerOrder
from raycal.people.log import PEOPLE
from raycal.people.project import FINISHED, Project
from raycal.people.project_images import content_of, read_image_list, write_image_list
from raycal.storage.folder import Folder
from raycal.storage.inputs import Inputs
from raycal.sweep.job import Job, Request, prepare
from raycal.sweep.preflight import describe
from raycal.sweep.run import allocate_trials, take_folder, tracked
from raycal.tracking.uri import without_secrets

# The address at which the newest server of a project can be reached, up to the token.
ADDRESS = f"{PEOPLE}/address.txt"


def run_command(options: Namespace) -> int:
    """Carry out a command line and return its exit code.

    Raises:
        InputError: The input is wrong; nothing was started, and nothing is lost.
    """
    server_options = ServerOptions(
        host=options.host,
        port=options.port,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        behind_proxy=options.behind_proxy,
        names=tuple(options.names),
    )
    server_options.check()
    file = ProjectFile.of(options.project) if os.path.isdir(os.path.expanduser(options.project)) else None
    request = Request(
        sweep=options.project if file is None else file.source(),
        storage=options.storage,
        local=True,
        resume=True,
        overrides=options.overrides,
        people=True,
    )
    job = prepare(request)
    (config,) = job.selected.values()
    if file is not None:
        file.refuse_other_images(image_root(config))
    run_folder = job.sweep_dir.folder.folder(config.experiment_id)
    if options.invite is not None or options.revoke is not None:
        return _change_access(options, server_options, run_folder)
    if options.export is not None:
        return _export(options, job, config)
    if file is not None:
        file.write()
    return _label(job, config, run_folder, server_options, _ray_address(options.address))


class Opened(NamedTuple):
    """The images of a project.

    Attributes:
        dataset: The images.
        root: The folder that they are in. None if they did not come from one file each.
        duplicates: The name of the image that has the same content, by the name of each file that was left out for it.
    """

    dataset: ImageDataset
    root: Path | None
    duplicates: Mapping[str, str] = {}


def _label(
    job: Job, config: ExperimentConfig, run_folder: Folder, server_options: ServerOptions, address: str | None
) -> int:
    """Serve the page, and run the rounds, on the Ray cluster at the address if there is one."""
    with ExitStack() as held:
        held.enter_context(job.sweep_dir.lock("serving this project"))
        listener = held.enter_context(listen(server_options))
        _print_start(job, config)
        opened = _open_images(config, run_folder)
        project = held.enter_context(_project(job, config, run_folder, opened.dataset))
        pictures = held.enter_context(Pictures(opened.dataset, opened.root))
        allocation = allocate_trials(job, [this_machine()])
        job, lease = take_folder(job, {}, allocation.threads, Inputs())
        tracker = held.enter_context(tracked(job))
        rounds = Rounds(
            task=Task(
                order=WorkerOrder(
                    config=config,
                    sweep_folder=job.sweep_dir.folder.uri,
                    lease=lease.record,
                    settings=allocation.of_worker,
                    plugins=tuple(job.sweep.plugins),
                    working_directory=os.getcwd(),
                ),
                address=address,
            ),
            run_dir=job.sweep_dir.run_dir(config.experiment_id),
            desk=project,
            clustering=build.clustering(config),
            on_commit=lambda: tracker.changed(config.experiment_id),
        )
        tokens = Tokens(run_folder.folder(PEOPLE))
        run_folder.write(ADDRESS, server_options.link(listener.getsockname()[1], "").encode())
        print("  Ctrl-C stops the server; the same command goes on where it stopped", flush=True)
        code = serve(project, pictures, tokens, server_options, background=rounds.run, listener=listener)
        print(_farewell(project, job.sweep_dir.folder.place), flush=True)
        return code


def _ray_address(given: str | None) -> str | None:
    """The Ray cluster on which the model is trained: the given one, or that of the Ray job in which this process runs.
    None means this machine, without Ray."""
    return given or ("auto" if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else None)


def _print_start(job: Job, config: ExperimentConfig) -> None:
    """Print what is labeled, where the answers are kept, and what is doubtful."""
    print(f"{job.sweep.name}: people label, and a model learns\n  folder  {job.sweep_dir.folder.place}")
    if job.tracking_uri is not None:
        print(f"  MLflow  {without_secrets(job.tracking_uri)}")
    print(*(f"  {line}" for line in (*describe(job.infos.values()), *job.warnings())), sep="\n")
    for needed in downloads([config], job.infos):
        print(f"  {needed}")
    print("  reading the images, which later starts find in the cache", flush=True)


def _project(job: Job, config: ExperimentConfig, run_folder: Folder, dataset: ImageDataset) -> Project:
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
    )


def _open_images(config: ExperimentConfig, run_folder: Folder) -> Opened:
    """The images, in the order of earlier starts, which is recorded in the folder of the run.

    Raises:
        InputError: The images cannot be used, or some of an earlier start are missing.
    """
    dataset = build.dataset(config)
    root = config.dataset.options.get("root")
    folder = None if root is None else Path(os.path.expanduser(root)).absolute()
    if not isinstance(dataset, UnlabeledImages):
        images = dataset.load()
        return Opened(images, folder if images.source is not None else None)
    before = read_image_list(run_folder)
    loaded = dataset.load_listed(content=None if before is None else content_of(before), before=before)
    write_image_list(run_folder, loaded.image_list)
    if before is not None and len(loaded.image_list.names) > len(before.names):
        print(f"  {len(loaded.image_list.names) - len(before.names):,} new images were added")
    return Opened(loaded.dataset, folder, loaded.duplicates)


def _change_access(options: Namespace, server_options: ServerOptions, run_folder: Folder) -> int:
    """Invite a person, or make a person's link invalid."""
    tokens = Tokens(run_folder.folder(PEOPLE))
    if options.revoke is not None:
        tokens.revoke(options.revoke)
        print(f"{checked_name(options.revoke)} cannot label any more; all answers stay")
    if options.invite is not None:
        token, address = tokens.invite(options.invite), run_folder.read(ADDRESS)
        link = server_options.link(server_options.port or DEFAULT_PORT, token)
        if server_options == ServerOptions() and address is not None:
            link = address.decode(errors="replace") + token
        print(f"{checked_name(options.invite)} labels here: {link}")
    return 0


def _export(options: Namespace, job: Job, config: ExperimentConfig) -> int:
    """Write the labels and the model into a folder."""
    from raycal.annotate.exporting import labeled_images, people_record, read_book
    from raycal.export.__main__ import lines_of
    from raycal.export.write import export_run

    run_dir = job.sweep_dir.run_dir(config.experiment_id)
    if not run_dir.results():
        raise InputError(
            f"{options.project}: nothing can be exported before the first round is finished and the model has learned "
            "from it"
        )
    opened = _open_images(config, run_dir.folder)
    book = read_book(run_dir, opened.dataset.class_names)
    summary = export_run(
        run_dir.folder.uri,
        options.export,
        people=people_record(run_dir, book, opened.duplicates),
        images=labeled_images(opened.dataset, book),
        originals=opened.root,
        command=f"python -m raycal.annotate {options.project} --export DIR",
    )
    print("\n".join(lines_of(summary)))
    return 0


def _farewell(project: Project, place: str) -> str:
    state = project.state("")
    if state["phase"] == FINISHED:
        return f"all {state['rounds']} rounds are done; all answers are in {place}; --export DIR writes the labels"
    return (
        f"round {state['iteration'] + 1}: {state['round_answered']} of {state['budget']} answered; all answers are in "
        f"{place}; the same command goes on"
    )
