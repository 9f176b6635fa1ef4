import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from raycal.algorithm.clustering import kmeans
from raycal.distributed.clustering_actor import ClusteringService
from raycal.kmeans import gpu

EMBEDDINGS = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2])
def test_service_clusters_like_the_function(threads: int) -> None:
    embeddings = EMBEDDINGS.copy()
    embeddings.flags.writeable = False
    ids, backends = ClusteringService(threads).cluster("kmeans", {"iterations": 5}, embeddings, 4, 7, 60.0)

    np.testing.assert_array_equal(ids, kmeans(embeddings, 4, 7, iterations=5))  # type: ignore[call-arg]
    assert backends == ("Faiss on the CPU",)


def test_service_without_a_share_of_a_gpu_does_without_torch() -> None:
    code = (
        "import sys, numpy as np; from raycal.distributed.clustering_actor import ClusteringService;"
        "service = ClusteringService(1);"
        "ids = [service.cluster(name, {}, np.eye(9, dtype=np.float32), 4, 7, 60.0) for name in"
        " ('kmeans', 'two_level_kmeans', 'spherical_kmeans', 'whitened_kmeans', 'torch_kmeans')];"
        "print(len(ids), 'torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout.split() == [
        b"5",
        b"False",
    ]


def test_service_without_a_share_of_a_gpu_sees_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "DRIVERS", (tmp_path,))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    ClusteringService(1, use_gpu=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert gpu.is_visible()
    ClusteringService(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert not gpu.is_visible()  # No GPU is visible, so neither Faiss nor torch looks for one.


class ExitError(Exception):
    """Stands for the end of the process, and is raised in its place."""


@pytest.mark.parametrize(("patience_seconds", "ends"), [(60.0, False), (0.0, True)])
def test_service_ends_itself_only_during_a_call_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, patience_seconds: float, ends: bool
) -> None:
    def leave(code: int) -> None:
        raise ExitError

    service, ended = ClusteringService(1), []

    def look(*arguments: object, **options: object) -> None:
        time.sleep(0.001)
        try:
            service.end_if_stuck()
        except ExitError:
            ended.append(True)

    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setattr("raycal.distributed.clustering_actor.clusterings", {"look": look})
    service.end_if_stuck()
    service.cluster("look", {}, EMBEDDINGS, 4, 7, patience_seconds)
    service.end_if_stuck()  # A call that has ended does not count as stuck, however long it took.

    assert ended == [True] * ends


def test_call_that_fails_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    service = ClusteringService(1)
    monkeypatch.setattr("os._exit", lambda code: pytest.fail("not stuck"))
    with pytest.raises(KeyError):
        service.cluster("unknown", {}, EMBEDDINGS, 4, 7, 0.0)
    time.sleep(0.001)

    service.end_if_stuck()
