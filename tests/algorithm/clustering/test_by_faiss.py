from typing import Any

import faiss
import numpy as np
import pytest

from raycal.algorithm.clustering import clusterings, kmeans

POINTS = np.random.default_rng(0).random((300, 8), np.float32)


def test_faiss_kmeans_is_kmeans_on_a_cpu() -> None:
    np.testing.assert_array_equal(clusterings["faiss_kmeans"](POINTS[:, ::2], 9, 3), kmeans(POINTS[:, ::2], 9, 3))


@pytest.mark.parametrize("gpus", [0, 2])
def test_only_faiss_kmeans_has_faiss_use_the_gpus_it_sees(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Kmeans(faiss.Kmeans):  # type: ignore[misc]
        def __init__(self, *sizes: int, gpu: bool, **options: Any) -> None:
            asked.append(gpu)
            super().__init__(*sizes, **options)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: gpus)
    monkeypatch.setattr(faiss, "Kmeans", Kmeans)
    for name in ("faiss_kmeans", "kmeans", "spherical_kmeans", "whitened_kmeans"):
        clusterings[name](POINTS, 9, 3)

    assert asked == [gpus > 0, False, False, False]
