import os

import numpy as np
import pytest

from raycal.algorithm.clustering import kmeans
from raycal.distributed.clustering import ClusteringService


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
