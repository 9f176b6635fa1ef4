"""Tests calls of a clustering actor that dies, hangs, or runs out of memory. A `Stage` stands for Ray and the actor."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
)

from raycal.distributed import clustering_client
from raycal.distributed.clustering_client import (
    LEAST_PATIENCE_SECONDS,
    LOOK_SECONDS,
    MOVE_SECONDS,
    RemoteClustering,
    patience_seconds,
)
from raycal.distributed.retries import CLUSTERING_RETRIES
from raycal.errors import InfrastructureError, ShortOfMemoryError
from raycal.kmeans.backends import noted

UNAVAILABLE = ActorUnavailableError("on its way", None)
HANGS = "never"
IDS = ("ids", ("Faiss on the GPU",))


class Stage:
    """Stands for an actor and for Ray. Each call of the actor, and each check of the actor's state, gets the next of
    the given outcomes.

    An outcome is a result, an error, or `HANGS`, which only a kill ends. A result takes `seconds` seconds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, calls: list[Any], looks: list[Any] | None = None) -> None:
        self.calls, self.looks, self.seconds = calls, looks or [None], 0.0
        self.made, self.now, self.kills = 0, 0.0, 0
        self._is_hanging = False
        self.cluster = SimpleNamespace(remote=self._call)
        self.end_if_stuck = SimpleNamespace(options=lambda **options: SimpleNamespace(remote=self._look))
        ray = SimpleNamespace(put=lambda points: points, get=self._get, wait=self._wait, kill=self._kill)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._pass)
        monkeypatch.setattr(clustering_client, "ray", ray)
        monkeypatch.setattr(clustering_client, "time", clock)

    def cluster_ids(self) -> Any:
        return RemoteClustering(self, "kmeans", {"iterations": 5})(np.zeros((40, 2), np.float32), 4, 0)

    def _call(self, *call: Any) -> Any:
        name, options, points, num_clusters, seed, patience = call
        assert (name, options, points.shape, num_clusters, seed) == ("kmeans", {"iterations": 5}, (40, 2), 4, 0)
        assert patience == LEAST_PATIENCE_SECONDS
        self.made += 1
        return SimpleNamespace(outcome=next_of(self.calls), ready_at=self.now + self.seconds)

    def _look(self) -> Any:
        return SimpleNamespace(outcome=next_of(self.looks), ready_at=self.now)

    def _wait(self, calls: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        (call,) = calls
        if call.outcome is HANGS or call.ready_at > self.now + timeout:
            self._pass(timeout)
            return [], calls
        self._pass(max(0.0, call.ready_at - self.now))
        return calls, []

    def _get(self, call: Any, timeout: float | None = None) -> Any:
        if call.outcome is HANGS:
            assert timeout is not None, "waits for ever"
            self._pass(timeout)
            raise GetTimeoutError
        if isinstance(call.outcome, Exception):
            raise call.outcome
        return call.outcome

    def _kill(self, actor: Any, *, no_restart: bool) -> None:
        assert actor is self
        assert not no_restart
        self.kills += 1
        raise KilledError

    def _pass(self, seconds: float) -> None:
        self.now += seconds


class KilledError(Exception):
    """Ends the test when the actor is killed, because Ray does everything after that."""


def next_of(outcomes: list[Any]) -> Any:
    """The next outcome; the last one is repeated."""
    return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("cluster", "Traceback", cause, proctitle="x", pid=1, ip="127.0.0.1").as_instanceof_cause()


@pytest.mark.parametrize(
    "error",
    [UNAVAILABLE, ActorDiedError(), OutOfMemoryError("too much"), ObjectLostError("", None, "")],
    ids=["died", "gone", "memory monitor", "object lost"],
)
def test_call_that_an_actor_did_not_survive_is_made_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    stage = Stage(monkeypatch, calls=[error, IDS])

    with noted() as backends:
        assert stage.cluster_ids() == "ids"
    assert stage.made == 2
    assert backends == {"Faiss on the GPU"}


def test_actor_that_moves_to_another_node_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, calls=[UNAVAILABLE, IDS], looks=[UNAVAILABLE, UNAVAILABLE, None])

    assert stage.cluster_ids() == "ids"
    assert (stage.made, stage.now) == (2, 2.0)


@pytest.mark.parametrize(
    ("look", "seconds"), [(ActorDiedError(), 0.0), (UNAVAILABLE, MOVE_SECONDS), (HANGS, MOVE_SECONDS)]
)
def test_actor_that_does_not_come_back_is_no_failure_of_the_experiment(
    monkeypatch: pytest.MonkeyPatch, look: Any, seconds: float
) -> None:
    stage = Stage(monkeypatch, calls=[UNAVAILABLE], looks=[look])

    with pytest.raises(InfrastructureError, match=r"^the clustering actor has ended: "):
        stage.cluster_ids()
    assert seconds <= stage.now <= seconds + 2


def test_actor_that_dies_every_time_is_given_up_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, calls=[OutOfMemoryError("3 GB\nused")])

    with pytest.raises(InfrastructureError) as caught:
        stage.cluster_ids()
    assert stage.made == 1 + CLUSTERING_RETRIES == 3
    assert str(caught.value) == (
        "the clustering actor died or hung 3 times at 40 points (D = 2) into 4; if its node ran out of memory, lower "
        "resources.max_concurrent_trials, take a smaller pool or nodes with more memory; the last time: 3 GB used"
    )


@pytest.mark.parametrize(
    "cause", [MemoryError("std::bad_alloc"), RuntimeError("cudaMalloc error out of memory [2]")], ids=["host", "GPU"]
)
def test_clustering_without_enough_memory_fails_in_a_line_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    stage = Stage(monkeypatch, calls=[task_error(cause)])

    with pytest.raises(ShortOfMemoryError) as caught:
        stage.cluster_ids()
    assert stage.made == 1
    assert str(caught.value) == (
        "kmeans of 40 points (D = 2) into 4 ran out of memory on its actor; lower resources.max_concurrent_trials, "
        "take a smaller pool or nodes with more memory"
    )


def test_error_of_the_clustering_itself_is_raised_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, calls=[task_error(ZeroDivisionError("by zero"))])

    with pytest.raises(ZeroDivisionError):
        stage.cluster_ids()
    assert stage.made == 1


def test_call_that_waits_for_its_turn_is_no_hanging_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that waits for its turn is not killed: the actor answers every check of its state, and would have ended
    itself if a call in it were stuck."""
    stage = Stage(monkeypatch, calls=[IDS])
    stage.seconds = 100 * LEAST_PATIENCE_SECONDS

    assert stage.cluster_ids() == "ids"
    assert (stage.made, stage.kills, stage.now) == (1, 0, stage.seconds)


def test_actor_that_answers_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, calls=[HANGS], looks=[None, HANGS])

    with pytest.raises(KilledError):
        stage.cluster_ids()
    assert stage.now == 2 * LOOK_SECONDS + LEAST_PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("shape", "num_clusters", "iterations", "seconds"),
    [((60, 512), 20, 40, 300.0), ((50_000, 512), 1000, 40, 1280.0), ((10**6, 512), 10_000, 40, 512_000.0)],
)
def test_patience_is_minutes_and_grows_with_the_work(
    shape: tuple[int, int], num_clusters: int, iterations: int, seconds: float
) -> None:
    assert patience_seconds(shape, num_clusters, {"iterations": iterations}) == seconds
