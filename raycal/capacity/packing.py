"""Counts the trials that fit on the nodes of a Ray cluster however Ray places them. This module does not use Ray."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raycal.capacity.gpu_shares import UNIT, per_card

# A driver and its worker group must fit on whole cores together: beside a worker with one core, 50 drivers fit on that
# core.
DRIVER_UNITS = 10
WORKER_UNITS = 9_500
UNLIMITED = 10**9
EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The resources of one node, and the id that Ray gives it."""

    cpus: float
    gpus: float
    memory_bytes: float
    node_id: str = ""

    @classmethod
    def of(cls, resources: Mapping[str, Any], node_id: str = "") -> "Node":
        """The node with the resources that Ray reports for it."""
        return cls(
            cpus=resources.get("CPU", 0.0),
            gpus=resources.get("GPU", 0.0),
            memory_bytes=resources.get("memory", 0.0),
            node_id=node_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The resources that a trial asks Ray for at once: a driver on any node, and a group of equal workers on any nodes.

    Attributes:
        threads: CPU threads of each worker.
        gpus: GPUs of each worker; a part of one card, or whole cards.
        workers: Number of workers in the group.
        driver_bytes: Memory of a driver.
        worker_bytes: Memory of each worker.
    """

    threads: int
    gpus: float
    workers: int
    driver_bytes: int
    worker_bytes: int

    def most_workers(self, node: Node) -> int:
        """The largest number of workers that Ray puts on a node, which may be larger than the number of cores."""
        by_cpu = round(node.cpus * UNIT) // (WORKER_UNITS * self.threads)
        return min(by_cpu, self._workers_by_gpu(node), int(node.memory_bytes // self.worker_bytes))

    def workers_with_cores(self, node: Node) -> int:
        """How many workers find their cores and GPUs on a node, if its memory is ignored."""
        return min(int(node.cpus // self.threads), self._workers_by_gpu(node))

    def drivers_beside(self, node: Node, workers: int) -> int:
        """How many drivers fit on a node beside `workers` workers, of which there are at most `most_workers`."""
        units = round(node.cpus * UNIT) - workers * WORKER_UNITS * self.threads
        memory = node.memory_bytes - workers * self.worker_bytes
        return min(units // DRIVER_UNITS, int(memory // self.driver_bytes))

    def _workers_by_gpu(self, node: Node) -> int:
        if not self.gpus:
            return UNLIMITED
        return int(node.gpus // self.gpus) if self.gpus >= 1 else int(node.gpus) * per_card(self.gpus)


def most_trials(nodes: Sequence[Node], need: Need, limit: int) -> int:
    """The largest number of trials, up to `limit`, that are sure to run at once."""
    return bisect_left(range(1, limit + 1), True, key=lambda trials: not always_fit(nodes, need, trials))


def always_fit(nodes: Sequence[Node], need: Need, trials: int) -> bool:
    """Whether `trials` trials have their cores, and each trial finds room whatever the order and the places of the
    other trials.

    Ray never moves a placed process, so drivers can take a node's room from workers, and workers can take it from
    drivers. All workers are alike, so a group fits if there is room for its number of workers. The answer may be False
    for trials that just fit.
    """
    workers = [need.most_workers(node) for node in nodes]
    with_cores = sum(min(need.workers_with_cores(node), most) for node, most in zip(nodes, workers, strict=True))
    if trials * need.workers > with_cores:
        return False
    drivers = [need.drivers_beside(node, 0) for node in nodes]
    taken_from_workers = (
        [
            (need.drivers_beside(node, left) + 1, most - left + 1)
            for left in range(1, most + 1)
            if need.drivers_beside(node, left) < alone
        ]
        for node, most, alone in zip(nodes, workers, drivers, strict=True)
    )
    taken_from_drivers = (
        [(placed, alone - need.drivers_beside(node, placed)) for placed in range(1, most + 1)]
        for node, most, alone in zip(nodes, workers, drivers, strict=True)
    )
    others = (trials - 1) * need.workers
    return (
        sum(workers) - _most_taken(taken_from_workers, trials) >= trials * need.workers
        and sum(drivers) - _most_taken(taken_from_drivers, others) >= trials
    )


def _most_taken(steps: Iterable[list[tuple[int, int]]], number: int) -> int:
    """The largest room that `number` drivers, or workers, can take from the other kind if they are placed in the worst
    way.

    Args:
        steps: For each node, pairs of the number of processes placed there and the room that these take. The room is
            assumed to grow in proportion to the number of processes on the node. The factor is the largest ratio of
            room to number in the node's pairs, and the upper limit is the largest room in these pairs. The result may
            therefore be too large but is never too small.
    """
    lines = []
    for pairs in steps:
        within = [(placed, room) for placed, room in pairs if placed <= number]
        if within:
            lines.append((max(room / placed for placed, room in within), max(room for _, room in within)))
    left, total = float(number), 0.0
    for slope, most in sorted(lines, reverse=True):
        if slope > 0:
            here = min(left, most / slope)
            left, total = left - here, total + here * slope
    return int(total + EPSILON)
