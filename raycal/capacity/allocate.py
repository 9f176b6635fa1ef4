"""Decides how many trials run at once, what each gets and where clustering runs, from the resources of the nodes."""

from collections.abc import Sequence
from dataclasses import replace

from raycal.capacity.allocation import Allocation, ClusteringShare, count
from raycal.capacity.gpu_shares import (
    CLUSTERING_GPU,
    beside_clustering,
    equal_share,
    has_share_to_spare,
    per_card,
)
from raycal.capacity.packing import Need, Node, always_fit, most_trials
from raycal.config import ResourceConfig
from raycal.errors import InputError

__all__ = ["Allocation", "ClusteringShare", "Node", "allocate"]

MAX_THREADS = 16
# The largest number of GPUs that any known machine has.
MAX_CARDS = 16
# The private memory of a trial's driver, which includes the controller and helpers of Ray Train, and of a worker that
# has the CUDA build of torch. The pages of libraries that all processes share are not counted. The dataset is mapped
# and shared. The dataset and the actors use memory that Ray reserves for its object store, most of which stays unused.
DRIVER_BYTES, WORKER_BYTES = int(0.8e9), int(1e9)
# A trial that runs alone may start with this share of the memory above; with less memory it would be killed.
LEAST_SHARE_OF_MEMORY = 0.75
# An actor on a GPU takes this many calls at a time. The first call computes: in addition to 0.5 GB for CUDA, it holds
# its points (2 KB per sample) and up to 1 GB of distances and sums on the GPU. The second call waits with its points
# already in the actor's memory. Further calls wait in the actor's queue with their points.
CLUSTERINGS_PER_GPU = 2


def allocate(
    config: ResourceConfig, nodes: Sequence[Node], num_trials: int, *, workers: int = 1, threads: int | None = None
) -> Allocation:
    """Share the nodes among the trials.

    If there are GPUs, a worker gets one GPU, minus a small share for clustering. As many trials run at once as are
    certain to fit, and all workers have equal shares of the cores. A Ray cluster without any CPU is assumed to add
    nodes on demand, so it is asked for the resources in the configuration.

    Args:
        config: The resource section of the sweep file.
        nodes: The nodes of the Ray cluster.
        num_trials: The number of trials of the sweep.
        workers: Workers of each trial; they may be on several nodes.
        threads: CPU threads per worker of a sweep that was planned earlier, which keeps this number. None means that
            the configuration and the nodes decide.

    Raises:
        InputError: No trial fits, or there are no nodes yet and the configuration does not say what to ask for.
    """
    limit = min(num_trials, config.max_concurrent_trials or num_trials)
    wanted_threads = threads or config.cpus_per_worker
    if not any(node.cpus for node in nodes):
        return _on_nodes_to_come(config, workers=workers, threads=wanted_threads, limit=limit)
    need = Need(
        threads=wanted_threads or 1,
        gpus=_gpus_here(config.gpus_per_worker, nodes, wanted_threads or 1),
        workers=workers,
        driver_bytes=DRIVER_BYTES,
        worker_bytes=WORKER_BYTES,
    )
    _check_room(nodes, need, planned=threads is not None)
    concurrent = most_trials(nodes, need, limit)
    if not concurrent:
        need, concurrent = _with_little_memory(nodes, need), 1
    if wanted_threads is None:
        choices = (replace(need, threads=number) for number in range(MAX_THREADS, 0, -1))
        need = next(choice for choice in choices if always_fit(nodes, choice, concurrent))
    return Allocation(
        workers=workers,
        threads=need.threads,
        gpus=need.gpus,
        concurrent_trials=concurrent,
        clustering=_on_gpus(nodes, need, concurrent) or _on_cpus(nodes, need, concurrent),
        driver_bytes=need.driver_bytes,
        worker_bytes=need.worker_bytes,
        compile=config.compile,
    ).at_most(concurrent)


def _on_nodes_to_come(config: ResourceConfig, *, workers: int, threads: int | None, limit: int) -> Allocation:
    """The resources in the configuration, without memory: an autoscaler may not know that its nodes have memory."""
    if threads is None or config.gpus_per_worker is None or config.max_concurrent_trials is None:
        raise InputError(
            "resources: no node of the Ray cluster has a CPU so far; where nodes are started on demand, "
            "set cpus_per_worker, gpus_per_worker and max_concurrent_trials"
        )
    gpus = _gpus(config.gpus_per_worker, MAX_CARDS)
    shares_card = 0 < gpus < 1 and beside_clustering(gpus) == per_card(gpus)
    actor = ClusteringShare(
        node_id="",
        threads=threads,
        gpus=CLUSTERING_GPU if shares_card else 0.0,
        concurrency=CLUSTERINGS_PER_GPU if shares_card else limit,
    )
    return Allocation(
        workers=workers,
        threads=threads,
        gpus=gpus,
        concurrent_trials=limit,
        clustering=(actor,),
        compile=config.compile,
    ).at_most(limit)


def _gpus_here(wanted_gpus: float | None, nodes: Sequence[Node], threads: int) -> float:
    """The GPUs of a worker: the configured number, or, if a node has a GPU, one GPU minus the share for clustering."""
    cards = int(max(node.gpus for node in nodes))
    if wanted_gpus is None:
        usable = any(node.gpus >= 1 and node.cpus >= threads for node in nodes)
        return equal_share(1 - CLUSTERING_GPU, cards) if usable else 0.0
    if wanted_gpus and not cards:
        raise InputError(
            f"resources: gpus_per_worker is {wanted_gpus:g}, but none of {count(len(nodes), 'node')} has a GPU; "
            "set it to 0 or auto"
        )
    return _gpus(wanted_gpus, cards)


def _gpus(wanted_gpus: float, cards: int) -> float:
    """The GPUs of a worker: a part of a card, or whole cards, because a worker cannot have parts of several cards."""
    if wanted_gpus > 1 and wanted_gpus % 1:
        raise InputError(f"resources: gpus_per_worker is {wanted_gpus:g}; above 1 it must be a whole number")
    return equal_share(wanted_gpus, cards)


def _on_gpus(nodes: Sequence[Node], need: Need, concurrent: int) -> tuple[ClusteringShare, ...]:
    """A clustering actor on each node where some GPU always has a clustering share free, however the workers are
    placed."""
    return tuple(
        ClusteringShare(
            node_id=node.node_id, threads=need.threads, gpus=CLUSTERING_GPU, concurrency=CLUSTERINGS_PER_GPU
        )
        for node in _largest_first(nodes, need)
        if need.gpus
        and has_share_to_spare(int(node.gpus), need.gpus, min(need.most_workers(node), concurrent * need.workers))
    )


def _on_cpus(nodes: Sequence[Node], need: Need, concurrent: int) -> tuple[ClusteringShare, ...]:
    """A clustering actor on each node that runs workers; it uses the cores of the workers that wait for it."""
    return tuple(
        ClusteringShare(
            node_id=node.node_id, threads=need.threads, gpus=0.0, concurrency=min(need.most_workers(node), concurrent)
        )
        for node in _largest_first(nodes, need)
    )


def _largest_first(nodes: Sequence[Node], need: Need) -> list[Node]:
    """The nodes that have room for workers. The node with the most room comes first."""
    usable = [node for node in nodes if need.most_workers(node)]
    return sorted(usable, key=need.most_workers, reverse=True)


def _check_room(nodes: Sequence[Node], need: Need, *, planned: bool) -> None:
    """Refuse a worker that fits on no node, and a trial whose workers do not fit at the same time, even with unlimited
    memory."""
    room = sum(need.workers_with_cores(node) for node in nodes)
    if room >= need.workers:
        return
    gpus = f" and {count(need.gpus, 'GPU')}" if need.gpus else ""
    needed = f"{count(need.threads, 'CPU')}{gpus}"
    settings = ["cpus_per_worker"] * (need.threads > 1) + ["gpus_per_worker"] * bool(need.gpus)
    if room:
        problem = f"a trial needs {need.workers} workers with {needed} each at once, but there is room for {room}"
        settings.insert(0, "workers_per_trial")
    else:
        problem = f"a worker needs {needed} on one node"
    largest = max(nodes, key=lambda node: (node.gpus, node.cpus) if need.gpus else (node.cpus, node.gpus))
    fix = f"lower {' or '.join(settings)}" if settings else "use a larger node"
    if planned:
        fix = "the sweep was planned on larger nodes"
    has = count(largest.cpus, "CPU") + (f" and {count(largest.gpus, 'GPU')}" if need.gpus else "")
    raise InputError(f"resources: {problem}; the largest of {count(len(nodes), 'node')} has {has}; {fix}")


def _with_little_memory(nodes: Sequence[Node], need: Need) -> Need:
    """The resources that a single trial needs when memory is scarce.

    Raises:
        InputError: There is too little memory for even one trial.
    """
    least = replace(
        need,
        driver_bytes=int(need.driver_bytes * LEAST_SHARE_OF_MEMORY),
        worker_bytes=int(need.worker_bytes * LEAST_SHARE_OF_MEMORY),
    )
    if always_fit(nodes, least, 1):
        return least
    gigabytes = (least.driver_bytes + need.workers * least.worker_bytes) / 1e9
    largest = max(node.memory_bytes for node in nodes) / 1e9
    raise InputError(
        f"resources: a trial with {count(need.workers, 'worker')} needs {gigabytes:.2f} GB of memory at the very "
        f"least; the largest of {count(len(nodes), 'node')} has {largest:.2f} GB for Ray (70 % of what is free there); "
        f"free some memory{' or lower workers_per_trial' if need.workers > 1 else ''}"
    )
