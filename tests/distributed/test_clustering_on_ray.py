"""Tests a clustering actor on Ray that is killed, hangs, or runs out of memory in the middle of a call."""

import os
import resource
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from sweep_command import family, wait_until

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.records import Floats
from raycal.capacity.allocate import ClusteringShare
from raycal.distributed import clustering_client
from raycal.distributed.clustering_actor import ClusteringService, start_clusterings
from raycal.distributed.clustering_client import RemoteClustering
from raycal.errors import InfrastructureError, ShortOfMemoryError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

OPTIONS = {"iterations": 20}
# This clustering takes thousands of iterations, and thus many seconds, until nothing changes any more.
ENDLESS = {"iterations": 10**6}
SHARE = ClusteringShare(node_id="", threads=1, gpus=0.0, concurrency=2)


def points(number: int) -> Floats:
    return np.random.default_rng(0).normal(size=(number, 64)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def here() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def kmeans(monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteClustering]:
    """A clustering on an actor that has answered one call. The time after which a call counts as stuck is short."""
    (actor,) = start_clusterings([SHARE]).values()
    kmeans = RemoteClustering(actor, "kmeans", OPTIONS)
    kmeans(points(100), 3, 0)
    monkeypatch.setattr(clustering_client, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(clustering_client, "patience_seconds", patience_seconds)
    yield kmeans
    ray.kill(actor)


def patience_seconds(shape: tuple[int, ...], num_clusters: int, options: Mapping[str, Any]) -> float:
    """The seconds after which a call counts as stuck: 2 for endless calls, 8 for large ones, which take a second, or
    several on a busy machine, and 60 for calls whose actor is ended by other calls."""
    if options == ENDLESS:
        return 2.0
    return 8.0 if shape[0] > 1000 else 60.0


def process() -> psutil.Process:
    (found,) = family(os.getpid(), f"ray::{ClusteringService.__name__}")
    return found


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_call_gives_the_same_though_its_actor_dies_or_hangs(kmeans: RemoteClustering, what: signal.Signals) -> None:
    embeddings = points(120_000)  # The call takes a second, and is disturbed at its beginning.
    victim = process()
    before = victim.cpu_times().user
    with ThreadPoolExecutor() as pool:
        call = pool.submit(kmeans, embeddings, 100, 7)
        wait_until(lambda: victim.cpu_times().user > before + 0.1, timeout=60, every=0.02)
        victim.send_signal(what)
        ids = call.result(120)

    np.testing.assert_array_equal(ids, clusterings["kmeans"](embeddings, 100, 7, **OPTIONS))
    assert not victim.is_running()


def test_call_that_never_ends_is_given_up_and_those_beside_it_are_not(
    kmeans: RemoteClustering,
) -> None:
    embeddings = points(100_000)
    first = process().pid
    endless = RemoteClustering(kmeans.actor, "kmeans", ENDLESS)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(endless, embeddings, 1000, 0)
        beside = [pool.submit(kmeans, points(100), 3, seed) for seed in range(3)]
        for seed, other in enumerate(beside):
            np.testing.assert_array_equal(other.result(60), clusterings["kmeans"](points(100), 3, seed, **OPTIONS))
        with pytest.raises(InfrastructureError, match=r"^the clustering actor died or hung 3 times at 100,000 points"):
            call.result(120)

    assert process().pid != first
    assert kmeans(points(100), 3, 0).shape == (100,)


def test_call_without_enough_memory_fails_in_a_line_and_the_actor_lives_on(kmeans: RemoteClustering) -> None:
    actor = process()
    actor.rlimit(resource.RLIMIT_AS, (actor.memory_info().vms + 2**27,) * 2)
    large = RemoteClustering(kmeans.actor, "whitened_kmeans", {"dimensions": 64, **OPTIONS})

    with pytest.raises(ShortOfMemoryError, match=r"^whitened_kmeans of 1,000,000 points \(D = 64\) into 10 ran out of"):
        large(points(1_000_000), 10, 0)
    assert kmeans(points(100), 3, 0).shape == (100,)
    assert process() == actor
