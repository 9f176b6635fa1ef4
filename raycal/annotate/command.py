"""The steps of `raycal.annotate`: check the input, and do what the options ask for."""

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from raycal.annotate.folder_file import ProjectFile
from raycal.annotate.labeling import ADDRESS, serve_and_train
from raycal.annotate.samples import ProjectSamples
from raycal.annotate.serve import DEFAULT_PORT, ServerOptions
from raycal.annotate.tokens import Tokens, checked_name
from raycal.config import ExperimentConfig, load_sweep
from raycal.config.dataset_names import image_root
from raycal.config.people import asks_people
from raycal.data.image_dataset import noun_of_dataset
from raycal.errors import InputError
from raycal.experiment import build
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.price_words import prices_yaml
from raycal.people.prices import fit_prices, timed_answers
from raycal.storage.folder import Folder
from raycal.storage.run_dir import PEOPLE
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep.job import Job, Request, prepare


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
    if options.local and not options.advise:
        raise InputError(
            "--local: is used only with --advise; without --address, the model is trained without Ray anyway"
        )
    if options.prices:
        return _print_prices(options.project if file is None else file.source(), options)
    request = Request(
        sweep=options.project if file is None else file.source(),
        storage=options.storage,
        local=True,
        resume=True,
        overrides=options.overrides,
        people=True,
    )
    samples = ProjectSamples()
    job = prepare(request, samples.inspect)
    ((key, config),) = job.selected.items()
    if job.iterations is not None:
        config = config.model_copy(update={"iterations": job.iterations})
    if file is not None:
        file.refuse_other_images(image_root(config))
    run_folder = job.sweep_dir.folder.folder(key)
    if options.invite is not None or options.revoke is not None:
        return _change_access(options, server_options, run_folder)
    if options.export is not None:
        return _export(options, job, config, samples)
    if options.advise:
        from raycal.annotate.advice.command import Where, advise

        return advise(
            job, config, samples, Where(storage=options.storage, local=options.local, address=options.address)
        )
    if file is not None:
        file.write()
    project_file = options.project if file is None else str(file.path)
    address = _ray_address(options.address)
    return serve_and_train(job, config, samples, run_folder, server_options, address, project_file)


def _print_prices(source: str | Mapping[str, Any], options: Namespace) -> int:
    """Print the cost of the answers so far as YAML for a sweep file. The project may be open in another process."""
    sweep = load_sweep(source, build.REGISTRIES, overrides=options.overrides)
    sweep_dir = SweepDir(Folder.at(options.storage).folder(sweep.name))
    plan = sweep_dir.read_plan()
    experiments = [] if plan is None else [key for key, config in plan.experiments.items() if asks_people(config)]
    events = [event for key in experiments for event in read_events(sweep_dir.run_dir(key).folder)]
    if not events:
        raise InputError(f"{sweep_dir.folder.place}: nobody has answered a question yet, so no price is known")
    noun = noun_of_dataset(next(iter(sweep.experiments.values())).dataset.name)
    print(prices_yaml(fit_prices(timed_answers(fold(events))), noun))
    return 0


def _ray_address(given: str | None) -> str | None:
    """The address of the Ray cluster on which the model is trained: the given address, or that of the cluster whose job
    this process is. None means this machine, without Ray.
    """
    return given or ("auto" if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else None)


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


def _export(options: Namespace, job: Job, config: ExperimentConfig, samples: ProjectSamples) -> int:
    """Write the labels and the model into a folder."""
    from raycal.annotate.exporting import labeled_samples, people_record, read_book
    from raycal.export.__main__ import lines_of
    from raycal.export.write import export_run

    (key,) = job.selected
    run_dir = job.sweep_dir.run_dir(key)
    if not run_dir.results():
        raise InputError(
            f"{options.project}: nothing can be exported before the first round is finished and the model has learned "
            "from it"
        )
    opened = samples.open(config, run_dir.folder)
    book = read_book(run_dir, opened.dataset.class_names)
    summary = export_run(
        run_dir.folder.uri,
        options.export,
        people=people_record(run_dir, book, opened.duplicates),
        images=labeled_samples(opened.dataset, book),
        originals=opened.root,
        command=f"python -m raycal.annotate {options.project} --export DIR",
    )
    print("\n".join(lines_of(summary)))
    return 0
