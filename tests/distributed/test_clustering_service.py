import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from raycal.algorithm.clustering import kmeans
from raycal.distributed import clustering
from raycal.distributed.clustering import MOVE_SECONDS, ClusteringService, RemoteClustering
from raycal.errors import InfrastructureError


@pytest.mark.parametrize("threads", [1, 2])
def test_service_clusters_like_the_function(threads: int) -> None:
    embeddings = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    embeddings.flags.writeable = False
    ids = ClusteringService(threads).cluster("kmeans", {"iterations": 5}, embeddings, 4, 7)

    np.testing.assert_array_equal(ids, kmeans(embeddings, 4, 7, iterations=5))  # type: ignore[call-arg]


def test_service_without_a_share_of_a_gpu_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    ClusteringService(1, use_gpu=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    ClusteringService(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


class Actor:
    """Answers a call with the next of its answers, or raises it; in place of Ray, too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers, self.calls, self.now = list(answers), 0, 0.0
        self.cluster = SimpleNamespace(remote=lambda *call: call)
        ray = SimpleNamespace(put=lambda points: points, get=self._get)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(clustering, "ray", ray)
        monkeypatch.setattr(clustering, "time", clock)

    def _get(self, call: Any) -> Any:
        assert call[:2] == ("kmeans", {"iterations": 5})
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


def call(actor: Actor) -> Any:
    return RemoteClustering(actor, "kmeans", {"iterations": 5})(np.zeros((4, 2), np.float32), 2, 0)


def test_actor_that_moves_to_another_node_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = ActorUnavailableError("on its way", None)
    actor = Actor(monkeypatch, moving, moving, "ids")
    assert call(actor) == "ids"
    assert actor.calls == 3


@pytest.mark.parametrize(("error", "seconds"), [(ActorDiedError(), 0), (ActorUnavailableError("", None), MOVE_SECONDS)])
def test_actor_that_is_gone_is_no_failure_of_the_experiment(
    monkeypatch: pytest.MonkeyPatch, error: Exception, seconds: float
) -> None:
    actor = Actor(monkeypatch, error)
    with pytest.raises(InfrastructureError, match="the clustering actor is gone"):
        call(actor)
    assert seconds <= actor.now <= seconds + 1
