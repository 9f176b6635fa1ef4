"""Tests that the trials of an allocation find room, in whatever order and on whatever nodes Ray places their
processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycal.capacity.allocate import allocate
from raycal.capacity.allocation import Allocation, ClusteringShare
from raycal.capacity.gpu_shares import UNIT
from raycal.capacity.packing import Need, Node, always_fit, most_trials
from raycal.config import ResourceConfig
from raycal.errors import InputError

GB = 10**9


def node(cpus: float, gpus: float = 0, gigabytes: float = 1000, node_id: str = "") -> Node:
    return Node(cpus=cpus, gpus=gpus, memory_bytes=gigabytes * GB, node_id=node_id)


def need(threads: int = 1, gpus: float = 0, workers: int = 1) -> Need:
    return Need(threads=threads, gpus=gpus, workers=workers, driver_bytes=2 * GB, worker_bytes=GB)


def in_units(resources: dict[str, float]) -> tuple[int, int, int]:
    """CPUs and GPUs in ten-thousandths, as Ray counts them, and memory in bytes."""
    return round(resources["CPU"] * UNIT), round(resources.get("GPU", 0) * UNIT), int(resources.get("memory", 0))


class Room:
    """The free resources of a node; its GPUs are counted card by card."""

    def __init__(self, node: Node) -> None:
        self.node_id = node.node_id
        self.cpu, self.memory = round(node.cpus * UNIT), int(node.memory_bytes)
        self.cards = [UNIT] * int(node.gpus)

    def takes(self, cpu: int, gpu: int, memory: int) -> bool:
        cards = sum(left >= min(gpu, UNIT) for left in self.cards) if gpu else 0
        return self.cpu >= cpu and self.memory >= memory and cards >= -(-gpu // UNIT)

    def takes_in_sum(self, cpu: int, gpu: int, memory: int) -> bool:
        """Whether the node has enough free resources in total. Ray checks this before it asks the node."""
        return self.cpu >= cpu and self.memory >= memory and sum(self.cards) >= gpu

    def take(self, cpu: int, gpu: int, memory: int, choose: Callable[[list[int]], int]) -> Callable[[], None]:
        """Take the resources, with the GPU share from cards that `choose` picks. The returned function gives them
        back."""
        taken: list[tuple[int, int]] = []
        while gpu:
            share = min(gpu, UNIT)
            card = choose([card for card, left in enumerate(self.cards) if left >= share])
            self.cards[card] -= share
            taken.append((card, share))
            gpu -= share
        self.cpu, self.memory = self.cpu - cpu, self.memory - memory

        def give_back() -> None:
            self.cpu, self.memory = self.cpu + cpu, self.memory + memory
            for card, share in taken:
                self.cards[card] += share

        return give_back


@dataclass
class Adversary:
    """Starts and ends trials and clustering actors on the nodes in any order, and places them as badly as it can."""

    rooms: list[Room]
    allocation: Allocation
    random: Random
    running: dict[ClusteringShare, Callable[[], None]] = field(default_factory=dict)
    drivers: list[Callable[[], None]] = field(default_factory=list)
    groups: list[list[Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.orders = [self.random.sample(self.rooms, len(self.rooms)) for _ in range(3)]

    def card(self, cards: list[int]) -> int:
        return self.random.choice([cards[0], cards[-1], self.random.choice(cards)])

    def place(self, kind: int, resources: tuple[int, int, int], node_id: str = "") -> Callable[[], None]:
        """Take room on a node, mostly filling one node after the other; fails when no node has room."""
        assert all(room.takes(*resources) or not room.takes_in_sum(*resources) for room in self.rooms)
        fitting = [room for room in self.orders[kind] if room.takes(*resources) and room.node_id.startswith(node_id)]
        assert fitting, f"no room for {('clustering', 'a driver', 'a worker')[kind]}"
        room = fitting[0] if self.random.random() < 0.9 else self.random.choice(fitting)
        return room.take(*resources, choose=self.card)

    def start_clustering(self, share: ClusteringShare) -> None:
        resources = (0, round(share.gpus * UNIT), 0)
        self.running[share] = self.place(0, resources, share.node_id)

    def start_driver(self) -> None:
        self.drivers.append(self.place(1, in_units(self.allocation.driver)))

    def start_group(self) -> None:
        worker = in_units(self.allocation.worker)
        self.groups.append([self.place(2, worker) for _ in range(self.allocation.workers)])

    def end_clustering(self) -> None:
        self.running.pop(self.random.choice(list(self.running)))()

    def end_trial(self) -> None:
        """End a trial together with its worker group, or a driver that has not asked for its group yet."""
        if len(self.groups) == len(self.drivers):
            for give_back in self.groups.pop(self.random.randrange(len(self.groups))):
                give_back()
        self.drivers.pop(self.random.randrange(len(self.drivers)))()

    def move(self) -> None:
        missing = [share for share in self.allocation.clustering if share not in self.running]
        moves: list[Callable[[], None]] = []
        if missing:
            moves.append(lambda: self.start_clustering(self.random.choice(missing)))
        if len(self.drivers) < self.allocation.concurrent_trials:
            moves += [self.start_driver] * 4
        if len(self.groups) < len(self.drivers):
            moves += [self.start_group] * 4
        if self.running:
            moves.append(self.end_clustering)
        if self.drivers:
            moves.append(self.end_trial)
        self.random.choice(moves)()

    def finish(self) -> None:
        """Start everything that is to run at once, if it is not running yet."""
        for share in self.allocation.clustering:
            if share not in self.running:
                self.start_clustering(share)
        while len(self.drivers) < self.allocation.concurrent_trials:
            self.start_driver()
        while len(self.groups) < self.allocation.concurrent_trials:
            self.start_group()


def survives(nodes: Sequence[Node], allocation: Allocation, seed: int) -> None:
    adversary = Adversary([Room(node) for node in nodes], allocation, Random(seed))
    for _ in range(12 * allocation.concurrent_trials):
        adversary.move()
    adversary.finish()


def survive_all(nodes: Sequence[Node], allocation: Allocation) -> None:
    for seed in range(50):
        survives(nodes, allocation, seed)


clusters = st.lists(
    st.builds(
        node,
        cpus=st.sampled_from([0, 1, 1, 2, 2, 3, 4, 7, 20]),
        gpus=st.sampled_from([0, 0, 1, 2, 3, 4]),
        gigabytes=st.floats(0.2, 20) | st.just(1000),
    ),
    min_size=1,
    max_size=6,
).map(lambda nodes: [replace(node, node_id=str(number)) for number, node in enumerate(nodes)])
configs = st.builds(
    ResourceConfig,
    gpus_per_worker=st.none() | st.sampled_from([0, 1, 2]) | st.floats(0.01, 1),
    cpus_per_worker=st.none() | st.integers(1, 5),
    max_concurrent_trials=st.none() | st.integers(1, 8),
)


@settings(max_examples=300, deadline=None)
@given(clusters, configs, st.integers(1, 30), st.integers(1, 4), st.integers(0, 10**6))
def test_every_trial_finds_room_whatever_ray_does(
    nodes: list[Node], config: ResourceConfig, num_trials: int, workers: int, seed: int
) -> None:
    try:
        allocation = allocate(config, nodes, num_trials, workers=workers)
    except InputError as refused:
        (problem,) = refused.problems
        assert problem.startswith("resources: ")
        assert "\n" not in problem
        return
    if not any(node.cpus for node in nodes):
        return
    assert 1 <= allocation.concurrent_trials <= min(num_trials, config.max_concurrent_trials or num_trials)
    assert 1 <= len(allocation.clustering) <= allocation.concurrent_trials
    assert len({share.node_id for share in allocation.clustering}) == len(allocation.clustering)
    assert allocation.threads == config.cpus_per_worker or config.cpus_per_worker is None
    assert allocation.gpus >= (config.gpus_per_worker or 0) - 1e-4
    survives(nodes, allocation, seed)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(node, st.integers(1, 4), gigabytes=st.integers(1, 12)), min_size=2, max_size=4),
    st.integers(1, 3),
    st.integers(0, 10**6),
)
def test_small_nodes_with_little_memory(nodes: list[Node], workers: int, seed: int) -> None:
    trials = most_trials(nodes, need(workers=workers), 30)
    allocation = Allocation(
        workers=workers,
        threads=1,
        gpus=0,
        concurrent_trials=trials,
        clustering=(),
        driver_bytes=2 * GB,
        worker_bytes=GB,
    )
    survives(nodes, allocation, seed)


def test_adversary_finds_what_does_not_always_fit() -> None:
    """Each node has room for three workers, or for one worker and a driver. By the total of the resources, four trials
    would fit."""
    nodes = [node(2, gigabytes=4), node(2, gigabytes=4), node(2, gigabytes=4)]
    one = Allocation(
        workers=1, threads=1, gpus=0, concurrent_trials=4, clustering=(), driver_bytes=2 * GB, worker_bytes=GB
    )
    with pytest.raises(AssertionError, match="no room for a worker"):
        survive_all(nodes, one)


@pytest.mark.parametrize(
    ("nodes", "asked", "trials"),
    [
        ([node(2)], need(), 2),
        ([node(2)], need(threads=2), 1),
        ([node(20)], need(), 20),
        ([node(64)], need(threads=3), 21),
        ([node(7), node(7)], need(threads=4), 2),
        ([node(7), node(7)], need(threads=4, workers=2), 1),
        ([node(4), node(4), node(4)], need(workers=5), 2),
        ([node(192, 8)], need(threads=16, gpus=0.95), 8),
        ([node(192, 8)], need(threads=16, gpus=0.95, workers=3), 2),
        ([node(192, 8)], need(threads=16, gpus=3), 2),
        ([node(0)], need(), 0),
    ],
)
def test_where_memory_is_plenty_cores_and_gpus_count(nodes: list[Node], asked: Need, trials: int) -> None:
    assert most_trials(nodes, asked, 100) == trials


@pytest.mark.parametrize(("gigabytes", "trials"), [(2, 0), (3, 1), (5, 1), (6, 2), (29, 9), (30, 10), (1000, 64)])
def test_memory_of_one_node_holds_drivers_and_workers(gigabytes: float, trials: int) -> None:
    assert most_trials([node(64, gigabytes=gigabytes)], need(), 100) == trials


def test_drivers_that_gather_on_a_node_take_memory_from_its_workers() -> None:
    """The four trials ask for all of the nodes' 12 GB together, but two drivers on one node take the room of two
    workers."""
    nodes = [node(2, gigabytes=4), node(2, gigabytes=4), node(2, gigabytes=4)]

    assert always_fit(nodes, need(), 2)
    assert not always_fit(nodes, need(), 4)


def test_drivers_gather_on_a_head_without_gpus_and_harm_nobody() -> None:
    assert most_trials([node(8, gigabytes=20), node(64, 8)], need(threads=8, gpus=0.95), 100) == 8


def test_many_single_cores_have_room_for_fifty_drivers_each() -> None:
    assert most_trials([node(1)] * 50, need(), 1000) == 50
    assert 97 <= most_trials([node(1)] * 100, need(), 1000) < 100


@pytest.mark.parametrize("cores", [1, 2, 3, 64, 192, 1024])
def test_trials_of_a_large_node_are_as_many_as_its_cores(cores: int) -> None:
    assert most_trials([node(cores, gigabytes=10_000)], need(), 10_000) == cores


def test_node_from_what_ray_reports() -> None:
    reported = {"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}

    assert Node.of(reported, "0123ab") == Node(cpus=8, gpus=2, memory_bytes=1e9, node_id="0123ab")
    assert Node.of({"memory": 1e9}) == Node(cpus=0, gpus=0, memory_bytes=1e9, node_id="")
