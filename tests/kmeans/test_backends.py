import numpy as np
import pytest

from raycal.algorithm.clustering import clusterings
from raycal.kmeans import gpu
from raycal.kmeans.backends import note, noted

POINTS = np.random.default_rng(0).random((60, 4), np.float32)


def test_notes_what_the_clusterings_inside_ran_on() -> None:
    clusterings["kmeans"](POINTS, 3, 0)
    with noted() as outer:
        with noted() as inner:
            clusterings["whitened_kmeans"](POINTS, 3, 0)
        assert inner == {"Faiss on the CPU"}
        assert outer == set()
        note("Faiss on the CPU", "of an actor")

    assert outer == {"Faiss on the CPU", "of an actor"}


def test_a_gpu_that_fails_is_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> np.ndarray:
        raise RuntimeError("out of memory")

    with noted() as backends:
        gpu.attempt("torch", lambda: np.arange(3))
        gpu.attempt("Faiss", fail)

    assert backends == {"torch on the GPU"}
