"""The command `raycal.annotate PROJECT --advise`: simulate the team on its own samples, and say what to change."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raycal.annotate.advice.features import feature_words, features_of
from raycal.annotate.advice.labels_so_far import VECTORS_FILE, LabelsSoFar, labels_so_far
from raycal.annotate.advice.mistakes import ErrorRate, error_rate
from raycal.annotate.advice.outcome import Outcome, PolicyTrials, best_of, outcomes, period_of
from raycal.annotate.advice.policies import USUAL_THRESHOLD, Policy, policy_of
from raycal.annotate.advice.simulation import COMPARISON_SEEDS, TRIAL_SEEDS, Simulation, Team
from raycal.annotate.advice.words import advice_lines, error_words, minutes, outcome_lines, rounds_words
from raycal.annotate.exporting import labeled_samples, people_record, read_book
from raycal.annotate.samples import Opened, ProjectSamples
from raycal.capacity.machine import this_machine
from raycal.config import ExperimentConfig
from raycal.data import LoadedDataset
from raycal.dry_run.rates import PROCESS_SECONDS, RAY_SECONDS, TRIAL_SECONDS
from raycal.errors import InfrastructureError, InputError
from raycal.experiment.downloads import fetch_weights
from raycal.export.labels import collect
from raycal.people.fold import Book
from raycal.people.price_words import price_lines
from raycal.people.prices import Prices, fit_prices, oracle_options, timed_answers
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir
from raycal.sweep.command import complete
from raycal.sweep.job import Job, Request, prepare
from raycal.sweep.run import allocate_trials

# How many policies are compared with the current one, after all were tried.
NUM_COMPARED = 2
# The name of the folder of the simulations, after the name of the project, and the names of its two sweeps.
SUFFIX, TRIAL, COMPARISON = "advice", "trial", "comparison"
# A round of a simulation takes about this many seconds on one core: the training of a linear layer, and clusters.
SECONDS_PER_ROUND = 0.2
# It is part of the name of the folder. A change of what is simulated changes it, so that results are not mixed.
VERSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where the simulations run.

    Attributes:
        storage: The storage of the project.
        local: Whether the trials run one after another in this process, without Ray.
        address: The address of the Ray cluster; None means a cluster on this machine, or `RAY_ADDRESS`.
    """

    storage: str
    local: bool
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the log of a project tells about its team and its labels."""

    labels: LabelsSoFar
    samples: LoadedDataset
    prices: Prices
    errors: ErrorRate


def advise(job: Job, config: ExperimentConfig, samples: ProjectSamples, where: Where) -> int:
    """Simulate the team of a project, and print the advice.

    Raises:
        InputError: No round is finished, or there are too few labels.
    """
    (key,) = job.selected
    name, run_dir = job.sweep.name, job.sweep_dir.run_dir(key)
    if not run_dir.results():
        raise InputError(f"{name}: there is no advice before the first round is finished")
    if config.resolved_scenario.whole_pool:
        scenario = config.resolved_scenario.name
        raise InputError(f"{name}: the scenario {scenario} asks about every sample, so there is nothing to advise")
    known = read_known(name, run_dir, samples.open(config, run_dir.folder))
    simulation, folder = simulation_of(job, config, known)
    noun = known.samples.noun
    for line in start_lines(config, simulation, known):
        print(line, flush=True)
    if not folder.exists(VECTORS_FILE):
        fetch_weights(config)
        settings = allocate_trials(job, [this_machine()]).of_worker
        vectors = features_of(config, known.samples, known.labels.rows, settings)
        folder.write(VECTORS_FILE, known.labels.npz(vectors, known.samples.class_names))

    print(_estimate(simulation, where.local), flush=True)
    found, seconds = compare(simulation, folder, where, known.labels)
    print(
        f"\n{name}: what each policy reaches in {minutes(seconds)} of people's time in a project that begins without "
        f"labels\n  (means of {len(COMPARISON_SEEDS)} simulated projects, not those that chose the policies; "
        "brackets hold 95 % intervals, for a single project or, in a comparison with now, for the mean difference)"
    )
    for line in (*outcome_lines(found, seconds, noun), "", *advice_lines(found, seconds, noun)):
        print(line)
    print(f"folder  {folder.place}", flush=True)
    return 0


def read_known(name: str, run_dir: RunDir, opened: Opened) -> Known:
    """Read the labels, the prices and the errors of a team.

    Raises:
        InputError: There are too few labels.
    """
    book = read_book(run_dir, opened.dataset.class_names)
    people = people_record(run_dir, book, opened.duplicates)
    samples = labeled_samples(opened.dataset, book)
    rows = [row for number in range(len(run_dir.results())) for row in run_dir.ledger_of(number)]
    labels = labels_so_far(name, samples, collect(samples, people.evidence(rows), people).pool)
    return Known(labels=labels, samples=samples, prices=_prices(book), errors=error_rate(book))


def simulation_of(job: Job, config: ExperimentConfig, known: Known) -> tuple[Simulation, Folder]:
    """The simulation of a project, and its folder, which no other labels, prices or settings have."""
    labels = known.labels
    team = Team(prices=oracle_options(known.prices), error_rate=round(known.errors.rate or 0.0, 3))
    simulation = Simulation(
        config=config,
        current=policy_of(config),
        team=team,
        file="",
        pool=labels.num_pool,
        share_of_pool=labels.share_of_pool,
    )
    content = [VERSION, config.experiment_id, labels.rows.tolist(), labels.labels.tolist(), labels.num_pool]
    sweeps = simulation.sweep(TRIAL, simulation.policies, TRIAL_SEEDS)
    digest = hashlib.sha256(json.dumps([*content, sweeps], sort_keys=True).encode()).hexdigest()[:12]
    storage = Folder.at(job.request.storage).folder(f"{job.sweep.name}.{SUFFIX}")
    folder = storage.folder(digest)
    return replace(simulation, file=f"{folder.place}/{VECTORS_FILE}"), folder


def start_lines(config: ExperimentConfig, simulation: Simulation, known: Known) -> list[str]:
    """What is simulated, and what is not known."""
    labels, noun = known.labels, known.samples.noun
    lines = [
        f"the advice comes from a simulation of this team on {labels.num_pool:,} {noun}s of the pool; "
        f"{labels.num_measured:,} {noun}s of the hold-out measure the accuracy",
        f"{noun}s without a label, or with a doubtful one from a cluster, have the label of the most similar of the "
        f"{labels.num_trusted:,} {noun}s that somebody labeled alone",
        feature_words(config),
        rounds_words(simulation, noun),
        "what an answer of this team takes:",
        *(f"  {line}" for line in price_lines(known.prices, noun)),
    ]
    if known.prices.sample is None or known.prices.cluster is None:
        lines.append("  a time that is not known is taken to be 4.2 s for an answer, as measured for other people")
    lines += [
        error_words(known.errors, noun),
        f"it is assumed that people label a cluster if at least {USUAL_THRESHOLD:.0%} of the {noun}s that they see of "
        f"it are alike, and that they mark no odd {noun}s",
    ]
    return [f"  {line}" for line in lines]


def compare(simulation: Simulation, folder: Folder, where: Where, labels: LabelsSoFar) -> tuple[list[Outcome], float]:
    """Try all policies, and compare the best ones with the current one.

    Args:
        simulation: The simulation.
        folder: The folder that gets the two sweeps. Trials that an earlier call has finished are not repeated.
        where: Where the trials run.
        labels: The samples that measure the accuracy, and the others.

    Returns:
        The outcomes, the current policy first and the others by their average accuracy, and the time of the comparison
        in seconds.
    """

    def run(name: str, which: Sequence[Policy], seeds: Sequence[int]) -> list[PolicyTrials]:
        return run_trials(simulation, which, seeds, name=name, folder=folder, where=where)

    tried = run(TRIAL, simulation.policies, TRIAL_SEEDS)
    best = best_of(tried, tried[0], period_of(tried[0], labels.guessing), NUM_COMPARED)
    compared = run(COMPARISON, [simulation.current, *best], COMPARISON_SEEDS)
    period = period_of(compared[0], labels.guessing)
    return outcomes(compared, compared[0], period, num_measured=labels.num_measured), period.end


def run_trials(
    simulation: Simulation,
    which: Sequence[Policy],
    seeds: Sequence[int],
    *,
    name: str,
    folder: Folder,
    where: Where,
) -> list[PolicyTrials]:
    """Run one trial for each policy and each seed, as a sweep, which continues if it was interrupted.

    Raises:
        InfrastructureError: A trial has failed.
    """
    request = Request(
        sweep=simulation.sweep(name, which, seeds),
        storage=folder.uri,
        address=where.address,
        local=where.local,
        resume=True,
        track=False,
        report=False,
    )
    job = prepare(request)
    complete(job)
    failed = job.unfinished()
    if failed:
        place = job.sweep_dir.run_dir(next(iter(failed))).folder.place
        raise InfrastructureError(f"{len(failed)} simulated trials have failed; {place}/error.txt says why")
    keys = iter(job.sweep.experiments)
    return [
        PolicyTrials(policy=policy, lines={seed: job.sweep_dir.run_dir(next(keys)).results() for seed in seeds})
        for policy in which
    ]


def _prices(book: Book) -> Prices:
    return fit_prices(timed_answers(book))


def _estimate(simulation: Simulation, local: bool) -> str:
    """How many trials run, and about how long they take."""
    tried = simulation.policies
    rounds = sum(simulation.rounds_of(policy) for policy in tried)
    compared = NUM_COMPARED + 2
    trials = len(tried) * len(TRIAL_SEEDS) + compared * len(COMPARISON_SEEDS)
    work = rounds * len(TRIAL_SEEDS) + rounds / len(tried) * compared * len(COMPARISON_SEEDS)
    at_a_time = 1 if local else this_machine().cpus
    seconds = PROCESS_SECONDS + (0 if local else 2 * RAY_SECONDS)
    seconds += (trials * TRIAL_SECONDS + work * SECONDS_PER_ROUND) / at_a_time
    took = max(1, round(seconds / 60))
    return (
        f"  {len(tried)} policies are tried: strategies, with other numbers of clusters and other habits of people\n"
        f"  {trials} simulated projects (trials) take about {took} min on this machine"
    )
