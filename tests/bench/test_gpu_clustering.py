import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from raycal.algorithm.clustering import Clustering, clusterings
from raycal.algorithm.records import Floats
from raycal.bench.figure import Figure
from raycal.bench.gpu.clustering import FAISS, TORCH, clustering, peak_gpu_bytes
from raycal.bench.gpu.sizes import QUICK
from raycal.bench.material import Options
from raycal.kmeans import ClusterIds
from raycal.kmeans.backends import note

SECONDS = {FAISS: [3.0, 9.0, 4.0], TORCH: [2.0], "two_level_kmeans": [1.0]}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Figure]]:
    """A function that runs the benchmark on the CPU, with fixed seconds instead of measured ones."""
    monkeypatch.setattr(sys.modules["raycal.bench.gpu.clustering"], "interleaved", lambda *_: SECONDS)
    return lambda: {figure.name: figure for figure in clustering(Options(quick=True), QUICK)}


def test_decides_nothing_on_a_cpu(figures: Callable[[], dict[str, Figure]]) -> None:
    found = figures()

    assert {name: (figure.value, figure.verdict) for name, figure in found.items()} == {
        "kmeans": (4.0, ""),
        "torch_kmeans": (2.0, ""),
        "two_level_kmeans": (1.0, ""),
        "best of Faiss and torch": (2.0, "not met"),
        "wall, Faiss / torch (torch stays if both goals are met)": (2.0, ""),
        "inertia, torch / Faiss (second goal)": (1.0, ""),  # Without a GPU, both clusterings use Faiss.
    }
    assert found["kmeans"].setting["backends"][TORCH] == ["Faiss on the CPU"]


def test_decides_where_both_ran_on_the_gpu(
    figures: Callable[[], dict[str, Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stands_in(backend: str) -> Clustering:
        def cluster(embeddings: Floats, num_clusters: int, seed: int) -> ClusterIds:
            note(backend)
            return np.arange(len(embeddings)) % num_clusters

        return cluster

    monkeypatch.setitem(clusterings._entries, FAISS, stands_in("Faiss on the GPU"))
    monkeypatch.setitem(clusterings._entries, TORCH, stands_in("torch on the GPU"))

    found = figures()

    assert found["wall, Faiss / torch (torch stays if both goals are met)"].verdict == "met"
    assert found["inertia, torch / Faiss (second goal)"].verdict == "met"


@pytest.mark.parametrize("fails", [False, True])
def test_memory_is_the_largest_drop_while_a_call_runs(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    free = [1000]
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free[0], 2000))

    def call() -> None:
        for number in (700, 400, 900):
            free[0] = number
            time.sleep(0.05)
        if fails:
            raise RuntimeError

    if fails:
        with pytest.raises(RuntimeError):
            peak_gpu_bytes(call)
    else:
        assert peak_gpu_bytes(call) == 600
