import faiss
import numpy as np
import pytest

from raycal.algorithm.clustering import clusterings, inertia, kmeans
from raycal.bench.material import Options, embeddings
from raycal.kmeans import Points, faiss_lloyd, gpu

POINTS = np.random.default_rng(0).random((300, 8), np.float32)
BY_FAISS = ("kmeans", "two_level_kmeans", "spherical_kmeans", "whitened_kmeans", "sampled_kmeans", "torch_kmeans")


def test_faiss_kmeans_is_kmeans() -> None:
    assert clusterings["faiss_kmeans"] is kmeans


def test_nearest_centers_are_those_with_the_smallest_distance() -> None:
    centers = POINTS[::40] + 0.01

    distances = ((POINTS[:, None] - centers) ** 2).sum(axis=2)
    assert np.array_equal(faiss_lloyd.nearest(POINTS, centers), distances.argmin(axis=1))


@pytest.mark.skipif(not gpu.is_gpu_build(), reason="needs faiss-gpu")
@pytest.mark.parametrize("name", BY_FAISS)
def test_a_gpu_on_which_faiss_fails_gives_the_clusters_of_the_cpu(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = clusterings[name](POINTS, 30, 3)
    # Without a GPU, Faiss raises the same kind of error as on a GPU with too little memory.
    monkeypatch.setattr(gpu, "faiss_has_gpu", lambda: True)

    assert np.array_equal(clusterings[name](POINTS, 30, 3), expected)
    (message,) = caplog.messages
    assert message.startswith("Faiss failed on the GPU, so clustering falls back to the CPU")


@pytest.mark.parametrize("name", BY_FAISS)
def test_every_search_runs_where_the_index_is_placed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = clusterings[name](POINTS, 30, 3)
    placed = []

    class Placed(faiss.IndexFlat):  # type: ignore[misc]
        """Stands for an index on a GPU: it computes the same as an index on the CPU, and is recorded in `placed`."""

        def __init__(self, index: faiss.IndexFlat) -> None:
            super().__init__(index.d, index.metric_type)
            placed.append(self)

    monkeypatch.setattr(gpu, "faiss_has_gpu", lambda: True)
    monkeypatch.setattr(faiss_lloyd, "_on_gpu", Placed)

    assert np.array_equal(clusterings[name](POINTS, 30, 3), expected)
    assert [index.ntotal > 0 for index in placed] == [True] * len(placed)
    # Most clusterings make one index. With two levels, there is one for the cells, 5 inside the cells, and 4 for the
    # rounds. With a sample, there is one for the training and one to assign all points.
    assert len(placed) == {"two_level_kmeans": 1 + 5 + 4, "sampled_kmeans": 2}.get(name, 1)


@pytest.mark.gpu
class TestOnAGpu:
    """These tests have never run on a GPU; they will fail there if Faiss is not deterministic."""

    @pytest.fixture
    def points(self) -> Points:
        return embeddings(Options(), 20_000)

    @pytest.mark.parametrize("name", BY_FAISS[:-1])
    def test_inertia_is_that_of_a_cpu(self, name: str, points: Points, monkeypatch: pytest.MonkeyPatch) -> None:
        assert gpu.faiss_has_gpu()
        on_gpu = inertia(points, clusterings[name](points, 400, 0))

        monkeypatch.setattr(gpu, "faiss_has_gpu", lambda: False)
        assert on_gpu == pytest.approx(inertia(points, clusterings[name](points, 400, 0)), rel=0.005)

    def test_does_not_fall_back_to_the_cpu(self, points: Points, caplog: pytest.LogCaptureFixture) -> None:
        kmeans(points, 400, 0)

        assert caplog.messages == []

    def test_two_calls_give_the_same_ids(self, points: Points) -> None:
        assert np.array_equal(kmeans(points, 400, 0), kmeans(points, 400, 0))

    def test_nearest_centers_are_those_of_a_cpu(self, points: Points, monkeypatch: pytest.MonkeyPatch) -> None:
        on_gpu = faiss_lloyd.nearest(points, points[::50])

        monkeypatch.setattr(gpu, "faiss_has_gpu", lambda: False)
        assert (on_gpu == faiss_lloyd.nearest(points, points[::50])).mean() > 0.999

    def test_gives_memory_back(self, points: Points) -> None:
        import torch

        kmeans(points, 400, 0)
        torch.cuda.empty_cache()
        before, _ = torch.cuda.mem_get_info()
        kmeans(points, 400, 0)

        assert torch.cuda.mem_get_info()[0] >= before
