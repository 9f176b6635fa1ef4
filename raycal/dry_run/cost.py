"""Estimates the cost of a sweep before its start: interactions, passes over images, and roughly hours and money."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from raycal.capacity.allocate import Allocation
from raycal.config import ExperimentConfig, Sweep
from raycal.config.dataset_names import image_root
from raycal.config.loop_settings import loop_settings
from raycal.data import DatasetInfo
from raycal.dry_run.prices import CLOUDS, offers
from raycal.dry_run.rates import (
    ASSUMED,
    CORE_GFLOPS,
    FORWARD_GFLOP,
    GPU_GFLOPS,
    PROCESS_SECONDS,
    RAY_SECONDS,
    TRAINING_GFLOP,
    TRIAL_SECONDS,
    GpuRate,
)
from raycal.dry_run.work import work_of
from raycal.errors import InputError, counted
from raycal.monitor.progress import named
from raycal.networks import USUAL_SIZE, networks

DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one experiment.

    Attributes:
        interactions: Human interactions.
        least_gflop: GFLOP if the expert accepts no cluster and no pseudo-label is given.
        most_gflop: GFLOP if the expert accepts every cluster and every sample gets a pseudo-label.
    """

    interactions: int
    least_gflop: float
    most_gflop: float

    def gpu_hours(self, gflops: float) -> tuple[float, float]:
        """The smallest and the largest number of hours on one GPU that sustains `gflops` GFLOP/s."""
        return self.least_gflop / gflops / 3600, self.most_gflop / gflops / 3600


def estimate_cost(config: ExperimentConfig, info: DatasetInfo) -> Cost:
    """The cost of an experiment on a dataset of this size.

    If `training.stop` is `converged`, a training costs at least the passes of its patience, and at most all of its
    steps. If layers are frozen, a training step costs at least a forward pass, and at most as much as without frozen
    layers. The passes over a validation set, a few percent of the training, are left out. So are the passes over
    labeled images that some acquisition functions take.
    """
    training = config.training
    size, features = _relative_cost(config.model.name, training.image_size), config.feature_model
    members = config.acquisition.options.get("members", 1)
    settings, interactions, gflops = loop_settings(config), list[int](), list[float]()
    for accepts in (False, True):
        work = work_of(settings, info.num_train, members=members, accepts=accepts)
        scored = work.scored + work.evaluations * info.num_test
        trained = sum(training.images(num_samples)[1 if accepts else 0] for num_samples in work.trainings)
        per_image = TRAINING_GFLOP
        if config.model.trains_head_alone:
            # Each sample passes through the network only once; training the head costs almost nothing.
            scored, trained = info.num_train + info.num_test, 0
        elif config.model.frozen_up_to and not accepts:
            per_image = FORWARD_GFLOP  # nothing is computed backwards through frozen layers
        interactions.append(work.interactions)
        embedded = 0.0 if features is None else info.num_train * _relative_cost(features.name, features.image_size)
        gflops.append(size * (scored * FORWARD_GFLOP + trained * per_image) + embedded * FORWARD_GFLOP)
    return Cost(interactions=max(interactions), least_gflop=min(gflops), most_gflop=max(gflops))


def _relative_cost(network: str, image_size: int | None) -> float:
    """The cost of a sample, as a multiple of the cost of an image of 32 px for ResNet-18."""
    return networks.facts(network).cost(image_size or USUAL_SIZE) / networks.facts("resnet18").cost(32)


def print_estimate(
    sweep: Sweep,
    selected: Mapping[str, ExperimentConfig],
    infos: Mapping[str, DatasetInfo],
    allocate_here: Callable[[], Allocation],
    rate: GpuRate = ASSUMED,
    price: float | None = None,
    clouds: bool = False,
    labels: Mapping[str, str] | None = None,
    states: Mapping[str, str] | None = None,
    num_left: int | None = None,
    local: bool = False,
) -> None:
    """Print every experiment with its interactions, then the hours, the money and the resources of the whole sweep.

    For a search that decides trial by trial, the base experiment and the search space are printed, and every trial is
    assumed to cost as much as the base experiment.

    Args:
        sweep: The sweep.
        selected: The experiments to run, by id.
        infos: The dataset of each experiment, by experiment id.
        allocate_here: Shares this machine among the trials. It raises InputError if no trial fits on it, which is usual
            for a sweep that is meant for another machine.
        rate: The speed of the GPUs that will run the sweep.
        price: USD per hour of one GPU; None if it is not known.
        clouds: Whether to print the price table of cloud machines even if neither this machine nor the sweep has a GPU.
        labels: The label to print behind the id of each experiment.
        states: The state of each experiment of a sweep that was started before: `DONE` or another word. The hours and
            the money cover only experiments that are not done.
        num_left: The number of trials that have not ended. None means all trials.
        local: Whether the trials run one after another in one process, without Ray.
    """
    base = sweep.base
    known = selected if base is None else {base.experiment_id: base}
    costs = {key: estimate_cost(config, infos[key]) for key, config in known.items()}
    begins = named(known, labels or {})
    for key, cost in costs.items():
        pool, state = infos[key].num_train, f"  {states[key]}" if states and key in states else ""
        print(
            f"{begins[key]}  {cost.interactions:>7,} interactions  pool {pool:,}  test {infos[key].num_test:,}{state}"
        )
    _print_folders(known, infos)
    times = 1 if base is None else sweep.num_trials
    interactions = times * sum(cost.interactions for cost in costs.values())
    if sweep.search is not None and base is not None:
        print("The row above is the base experiment. The search varies:")
        for key, domain in sweep.search.space.items():
            print(f"  {key}: {domain}")
        trials = f"{counted(times, 'trial')} chosen by {sweep.search.algorithm}"
        print(f"\n{sweep.name}: {trials}, about {interactions:,} interactions")
    else:
        print(f"\n{sweep.name}: {counted(len(selected), 'trial')}, {interactions:,} interactions")
    if states and base is None:
        done = [key for key in costs if states.get(key) == DONE]
        costs = {key: cost for key, cost in costs.items() if key not in done}
        interactions = sum(cost.interactions for cost in costs.values())
        _print_left(len(done), len(costs), interactions)
    elif num_left is not None and base is not None and num_left < times:
        interactions = num_left * sum(cost.interactions for cost in costs.values())
        _print_left(times - num_left, num_left, interactions)
        times = num_left
    repeated = sweep.num_combinations - len(sweep.experiments)
    if repeated:
        repeat = "repeats" if repeated == 1 else "repeat"
        print(f"{counted(repeated, 'combination')} {repeat} a trial: they differ only in settings without effect on it")
    if not costs or not times:
        return
    total = Cost(
        interactions=interactions,
        least_gflop=times * sum(cost.least_gflop for cost in costs.values()),
        most_gflop=times * sum(cost.most_gflop for cost in costs.values()),
    )
    print(
        f"on {rate.gpu} ({rate.origin}): "
        f"{_span(*total.gpu_hours(rate.gflops), digits=1)} GPU hours, to multiply by your price per GPU hour"
    )
    allocation, reason = _allocation(allocate_here)
    asked = sweep.resources.gpus_per_worker
    has_gpu = (asked is not None and asked > 0) or (allocation is not None and allocation.gpus > 0)
    if price is not None or clouds or has_gpu or rate is not ASSUMED:
        print(*_money(total, rate, price), sep="\n")
    else:
        print(f"  add --price USD with that price, or --price {CLOUDS} for the prices of some cloud machines")
    print(f"resources on this machine: {reason if allocation is None else allocation}")
    if allocation is None:
        return
    gflops = allocation.workers * (
        rate.gflops * allocation.gpus if allocation.gpus else CORE_GFLOPS * allocation.threads
    )
    least, most = (gflop / gflops / allocation.concurrent_trials for gflop in (total.least_gflop, total.most_gflop))
    start = _start_seconds(len(costs) * times, allocation.concurrent_trials, local=local)
    shortest, longest = _rough(least + start), _rough(most + start)
    words = longest if shortest == longest else f"{shortest} (no cluster accepted) to {longest} (all accepted)"
    # Seconds are rounded up to tens, because the time of a start is not known more precisely.
    starting = f"about {-(-start // 10) * 10:.0f} s" if start < 60 else _rough(start)
    print(f"rough estimate: {words}, {'most' if start > most else starting} of it to start the process and the trials")


def _allocation(allocate_here: Callable[[], Allocation]) -> tuple[Allocation | None, str]:
    """The share of this machine that each trial gets, or None if no trial fits; and the reason why none fits."""
    try:
        return allocate_here(), ""
    except InputError as error:
        return None, str(error)


def _start_seconds(trials: int, at_a_time: int, *, local: bool) -> float:
    """The seconds that a sweep takes in addition to the work of its trials."""
    if local:
        return PROCESS_SECONDS + trials * TRIAL_SECONDS
    return PROCESS_SECONDS + RAY_SECONDS + max(0, trials - at_a_time) / at_a_time * TRIAL_SECONDS


def _rough(seconds: float) -> str:
    """A roughly estimated duration in words."""
    if seconds < 60:
        return "under a minute"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _span(least: float, most: float, *, digits: int) -> str:
    """Two amounts as a range, `1.2 to 3.4`; an amount that would be rounded to zero is written as `under 0.1`."""
    smallest = 10.0**-digits
    words = [
        f"under {smallest:.{digits}f}" if round(amount, digits) < smallest else f"{amount:,.{digits}f}"
        for amount in (least, most)
    ]
    return words[0] if words[0] == words[1] else " to ".join(words)


def _print_left(done: int, left: int, interactions: int) -> None:
    """Print how much of a sweep that was started before is left to run."""
    rest = (
        f", with {interactions:,} interactions; the estimates below cover only the trials to run"
        if left
        else "; nothing is left to run"
    )
    print(f"done: {done}; to run: {left}{rest}")


def _print_folders(experiments: Mapping[str, ExperimentConfig], infos: Mapping[str, DatasetInfo]) -> None:
    """Print the image folder of each dataset name."""
    folders = {infos[key].name: root for key, config in experiments.items() if (root := image_root(config)) is not None}
    for name, root in folders.items():
        print(f"dataset {name}: {root}")


def _money(total: Cost, rate: GpuRate, price: float | None) -> Iterator[str]:
    """Lines with the cost of the hours: at the user's price if the user gave one, otherwise for each machine in the
    price table that has a matching GPU."""
    if price is not None:
        least, most = (price * hours for hours in total.gpu_hours(rate.gflops))
        yield f"at {price:g} USD per GPU hour: {_span(least, most, digits=2)} USD"
        return
    known = [offer for offer in offers() if rate is ASSUMED or rate.is_of(offer.gpu)]
    for offer in known:
        least, most = total.gpu_hours(GPU_GFLOPS[offer.gpu] if rate is ASSUMED else rate.gflops)
        spot, on_demand = offer.spot / offer.gpus, offer.on_demand / offer.gpus
        yield (
            f"  {offer.cloud} {offer.machine} ({offer.gpu}, {offer.region}): {_span(least, most, digits=1)} GPU hours, "
            f"{_span(least * spot, most * spot, digits=2)} USD on spot, "
            f"{_span(least * on_demand, most * on_demand, digits=2)} on demand, prices {offer.checked}"
        )
    if known:
        yield "  prices are not verified: look up yours and pass it as --price; head node, disks and traffic cost extra"
    else:
        yield f"no price of {rate.gpu} is in the table: give yours with --price"
