"""The steps of `raycal.sweep`: check the input, and print an estimate or run the trials that are not finished."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from raycal.capacity.machine import this_machine
from raycal.dry_run.cost import DONE, print_estimate
from raycal.dry_run.prices import CLOUDS, own_price
from raycal.dry_run.rates import ASSUMED, GpuRate, measured_rate
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.installed import need_ray
from raycal.storage.inputs import InputRecord, Inputs
from raycal.storage.run_writer import RunWriter
from raycal.sweep.job import Job, Request, prepare
from raycal.sweep.preflight import describe
from raycal.sweep.printed import print_results, print_start
from raycal.sweep.run import allocate_trials, run_trials
from raycal.tracking.reach import check_tracking

if TYPE_CHECKING:
    from raycal.report.answered import AnsweredSweep


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
        print(*describe(job.infos.values()), *job.warnings(), "", sep="\n", flush=True)
        _refuse_changed_inputs(job, Inputs())
        _print_estimate(job, rate, price, clouds=options.price == CLOUDS)
        for needed in downloads((job.selected or job.sweep.examples).values(), job.infos):
            print(needed)
        return 0
    run(job)
    return 1 if job.unfinished() else 0


def run(job: Job) -> None:
    """Run the unfinished experiments of a job, and print the results.

    Raises:
        InputError: See `complete`.
    """
    print_results(job, *complete(job))


def complete(job: Job) -> tuple["AnsweredSweep", Mapping[str, str]]:
    """Run the unfinished experiments of a job, and print their progress, but not the results.

    Returns:
        See `run_trials`.

    Raises:
        InputError: Existing results are damaged, or the tracking server or the machines cannot be used.
    """
    if job.num_left and not job.request.local:
        need_ray(otherwise=", or add --local to run one trial after another in this process")
    _check_whole(job)
    if job.tracking_uri is not None:
        job = replace(job, away=check_tracking(job.tracking_uri))
    for experiment_id in job.selected:
        RunWriter.of(job.sweep_dir, experiment_id).tidy()
    print_start(job)
    todo = job.unfinished()
    if job.num_left and any(info.folder is not None or info.download for info in job.infos.values()):
        print("  reading and decoding the images, which later starts find in the cache", flush=True)
    inputs = build.prepare({**todo, **job.sweep.examples}) if job.num_left else Inputs()
    _refuse_changed_inputs(job, inputs)
    return run_trials(job, todo, inputs)


def _rate_and_price(options: Namespace) -> tuple[GpuRate, float | None]:
    """The speed and the price per hour of the user's GPU, from the options `--bench` and `--price`."""
    values = {"--bench": options.bench, "--price": options.price}
    unused = [name for name, value in values.items() if value is not None and not options.dry_run]
    if unused:
        raise InputError(*(f"{name}: is used only by the estimate; add --dry-run" for name in unused))
    rate = ASSUMED if options.bench is None else measured_rate(options.bench)
    return rate, None if options.price in (None, CLOUDS) else own_price(options.price)


def _print_estimate(job: Job, rate: GpuRate, price: float | None, *, clouds: bool) -> None:
    """Print which trials the sweep would run, and their estimated cost."""
    states = {}
    if job.extension is not None and not job.sweep.base:
        todo, new = job.unfinished(), set(job.extension.new)
        states = {key: "new" if key in new else "to run" if key in todo else DONE for key in job.selected}
    print_estimate(
        job.sweep,
        {} if job.sweep.base else job.selected,
        job.infos,
        lambda: allocate_trials(job, [this_machine()]),
        rate,
        price,
        clouds=clouds,
        labels=job.labels,
        states=states,
        num_left=job.num_left,
        local=job.request.local,
    )


def _check_whole(job: Job) -> None:
    """Refuse to continue if files of experiments changed after the experiments had ended."""
    problems = [problem for key in job.selected for problem in job.sweep_dir.run_dir(key).damage()]
    if problems:
        raise InputError(*problems)


def _refuse_changed_inputs(job: Job, prepared: Inputs) -> None:
    """Refuse to continue if images or weights have changed since the start of the sweep, even if no trial is left to
    run.

    Args:
        job: The job.
        prepared: The inputs that were read for the trials to run. All other recorded inputs of the sweep are read by
            this function, as far as they are on this machine.

    Raises:
        InputError: Images or weights have changed; the lines of the error name them.
    """
    record = InputRecord(job.sweep_dir.folder)
    to_run = {**job.unfinished(), **job.sweep.examples} if job.num_left else {}
    again = build.read_again({**to_run, **job.selected}, record.recorded(), already_read=prepared)
    record.check(prepared.with_others(again))
