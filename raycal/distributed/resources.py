"""How many trials run at once and what each gets, from what the Ray cluster has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from raycal.config import ResourceConfig
from raycal.errors import InputError

# A trial's driver asks for this, so that it never holds the core its worker waits for.
TRIAL_CPU = 0.01
# Resident memory of a live trial: driver, Train's controller and one worker with the CUDA build of torch.
TRIAL_BYTES = int(2.7e9)
MAX_THREADS = 16
# Memory is what a clustering needs of a GPU, and little of it; the trials wait while it computes.
CLUSTERING_GPU = 0.1
EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one node has."""

    cpus: float
    gpus: float
    memory_bytes: float

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> "Node":
        """From the resources that Ray reports of a node."""
        return cls(
            cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), memory_bytes=resources.get("memory", 0.0)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What each trial and the clustering actor get, and how many trials run at once."""

    threads: int
    gpus: float
    concurrent_trials: int
    clustering_gpus: float

    @property
    def worker(self) -> dict[str, float]:
        """The resources of a Train worker; a little less than whole cores, so that trial drivers fit beside it."""
        cpus = {"CPU": self.threads * 0.95}
        return cpus | {"GPU": self.gpus} if self.gpus else cpus

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        where = f"{self.clustering_gpus:g} GPU" if self.clustering_gpus else "the CPU"
        return f"{self.concurrent_trials} at a time, {self.threads} CPU threads{gpus} each, clustering on {where}"


def allot(config: ResourceConfig, nodes: Sequence[Node], num_trials: int, *, threads: int | None = None) -> Allotment:
    """Share the nodes among the trials.

    Where there are GPUs a trial gets one, but for a small share that the clustering actor lives on. As many trials run
    at once as fit, each with an equal share of its node's cores.

    Args:
        threads: Of a sweep planned earlier, to be kept; None: as the configuration and the nodes say.

    Raises:
        InputError: A trial fits on no node.
    """
    gpus = config.gpus_per_worker
    if gpus is None:
        gpus = 1 - CLUSTERING_GPU if any(node.gpus >= 1 for node in nodes) else 0.0
    least = threads or config.cpus_per_worker or 1
    usable = [node for node in nodes if _slots(node, gpus, least)]
    if not usable:
        raise InputError(_never_fits(nodes, gpus, least, planned=threads is not None))
    room = sum(_slots(node, gpus, least) for node in usable)
    concurrent = min(room, num_trials, config.max_concurrent_trials or room)
    chosen = threads or config.cpus_per_worker or _share_of_cores(usable, gpus, concurrent)
    return Allotment(
        threads=chosen,
        gpus=gpus,
        concurrent_trials=min(concurrent, sum(_slots(node, gpus, chosen) for node in usable)),
        clustering_gpus=CLUSTERING_GPU if gpus and _has_gpu_to_spare(usable, gpus, chosen) else 0.0,
    )


def _has_gpu_to_spare(nodes: Sequence[Node], gpus: float, threads: int) -> bool:
    """Whether the clustering actor finds its share of a GPU on every node, wherever Ray puts it and the trials."""
    per_card = _trials_per_card(gpus)
    if per_card and 1 - per_card * gpus >= CLUSTERING_GPU - EPSILON:
        return all(node.gpus >= 1 for node in nodes)
    used = (ceil(slots / per_card) if per_card else slots * gpus for slots in (_slots(n, gpus, threads) for n in nodes))
    return all(node.gpus - cards >= 1 for node, cards in zip(nodes, used, strict=True))


def _trials_per_card(gpus: float) -> int:
    """How many trials share a GPU; 0 when one needs several."""
    return int(1 / gpus + EPSILON) if gpus <= 1 else 0


def _share_of_cores(nodes: Sequence[Node], gpus: float, concurrent: int) -> int:
    """The most threads with which as many trials still fit at once."""
    for threads in range(MAX_THREADS, 1, -1):
        if sum(_slots(node, gpus, threads) for node in nodes) >= concurrent:
            return threads
    return 1


def _slots(node: Node, gpus: float, threads: int) -> int:
    """How many trials fit on a node; one needs its share of a single GPU, or several whole ones."""
    by_cpu = int(node.cpus // threads)
    if not gpus:
        by_gpu = by_cpu
    elif gpus <= 1:
        by_gpu = int(node.gpus) * _trials_per_card(gpus)
    else:
        by_gpu = int(node.gpus / gpus + EPSILON)
    return min(by_cpu, by_gpu, max(int(node.memory_bytes // TRIAL_BYTES), 1))


def _never_fits(nodes: Sequence[Node], gpus: float, threads: int, *, planned: bool) -> str:
    largest = max(nodes, key=lambda node: (node.gpus, node.cpus) if gpus else (node.cpus, node.gpus))
    mend = "the sweep was planned on a larger one" if planned else "lower cpus_per_worker or gpus_per_worker"
    return (
        f"resources: a trial needs {threads} CPUs and {gpus:g} GPUs on one node, the largest of {len(nodes)} nodes has "
        f"{largest.cpus:g} CPUs and {largest.gpus:g} GPUs; {mend}"
    )
