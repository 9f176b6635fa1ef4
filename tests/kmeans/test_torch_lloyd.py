import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from raycal.algorithm.clustering import clusterings, inertia
from raycal.algorithm.clustering.means import means
from raycal.algorithm.records import Floats
from raycal.bench.material import Options, embeddings
from raycal.kmeans import torch_lloyd
from raycal.kmeans.faiss_lloyd import lloyd
from raycal.kmeans.torch_lloyd import iterate

Cluster = Callable[..., npt.NDArray[np.int64]]


def found(points: Floats, num_clusters: int, seed: int, iterations: int = 40) -> np.ndarray:
    return torch_lloyd.lloyd(points, num_clusters, seed, iterations, device="cpu")


def noise(num_points: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((num_points, width), np.float32)


def repeated(points: Floats, times: int) -> Floats:
    """Each point `times` times, in random order."""
    return np.random.default_rng(1).permutation(np.repeat(points, times, axis=0))


def looseness(cluster: Cluster, points: Floats, num_clusters: int) -> float:
    """The mean inertia over three seeds."""
    ids = [cluster(points, num_clusters, seed, 40) for seed in range(3)]
    return float(np.mean([inertia(points, each) for each in ids]))


@pytest.fixture(autouse=True)
def faiss_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run Faiss on the CPU where the tests compare with it."""
    monkeypatch.setattr("raycal.kmeans.gpu.faiss_has_gpu", lambda: False)


@pytest.mark.parametrize(
    ("points", "num_clusters"),
    [
        (embeddings(Options(), 2000), 100),
        (noise(2000, 32), 500),
        (noise(2000, 32) + 10_000, 40),
        (repeated(noise(300, 16), 10), 400),
    ],
    ids=["embeddings", "few points a cluster", "far from zero", "more clusters than points that differ"],
)
def test_inertia_is_that_of_faiss(points: Floats, num_clusters: int) -> None:
    ours = looseness(found, points, num_clusters)

    assert ours <= 1.005 * looseness(lloyd, points, num_clusters) + 1e-6


@pytest.mark.parametrize(
    ("points", "num_clusters"),
    [
        (noise(1, 4), 1),
        (noise(7, 4), 7),
        (noise(300, 4), 1),
        (noise(300, 1), 150),
        (noise(5000, 3), 2),
        (np.zeros((50, 4), np.float32), 20),
        (repeated(noise(3, 4), 20), 50),
    ],
)
def test_ids_are_in_range(points: Floats, num_clusters: int) -> None:
    ids = found(points, num_clusters, 2**31 - 1)

    assert (ids.dtype, ids.shape) == (np.int64, (len(points),))
    assert ids.min() >= 0
    assert ids.max() < num_clusters


@pytest.mark.parametrize(("num_points", "num_clusters"), [(1, 1), (7, 7), (300, 1), (300, 290), (2000, 30)])
def test_every_cluster_of_points_that_differ_is_used(num_points: int, num_clusters: int) -> None:
    assert set(found(noise(num_points, 4), num_clusters, 0).tolist()) == set(range(num_clusters))


def test_equal_points_share_a_cluster() -> None:
    ids = found(np.repeat(noise(3, 4), 5, axis=0), 8, 0).reshape(3, 5)

    assert (ids == ids[:, :1]).all()
    assert len(set(ids[:, 0])) == 3


def test_after_many_iterations_each_point_is_nearest_to_the_mean_of_its_own_cluster() -> None:
    points = noise(800, 3) + 5

    ids = found(points, 20, 0, 200)

    centers = means(points, ids, np.zeros((20, 3), np.float32))
    assert np.array_equal(((points[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1), ids)


def test_same_seed_gives_the_same_ids_and_another_seed_others() -> None:
    points = noise(3000, 16)

    assert np.array_equal(found(points, 60, 5), found(points, 60, 5))
    assert not np.array_equal(found(points, 60, 5), found(points, 60, 6))


def test_read_only_points_are_left_alone_without_a_warning() -> None:
    points = noise(100, 4)
    before = points.copy()
    points.flags.writeable = False

    torch.set_warn_always(True)  # Without this setting, torch gives the warning only once per process.
    try:
        with pytest.warns(UserWarning, match="not writable"):
            torch.from_numpy(points)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found(points, 5, 0)
    finally:
        torch.set_warn_always(False)

    assert np.array_equal(points, before)


def test_ids_are_the_same_however_few_distances_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points = noise(500, 8)
    expected = found(points, 20, 0)

    for size in (1, 700, 8000):
        monkeypatch.setattr(torch_lloyd, "_BLOCK_BYTES", size)
        assert np.array_equal(found(points, 20, 0), expected)


@pytest.mark.parametrize("piece", [1, 7, 64, 10_000])
def test_means_are_those_of_clusters_of_every_size(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(torch_lloyd, "_PIECE", piece)
    points, otherwise = noise(1000, 6), np.full((6, 6), 9, np.float32)
    ids = np.repeat([4, 1, 3, 0], [700, 200, 99, 1])
    order = np.random.default_rng(0).permutation(1000)

    centers, sizes = torch_lloyd._means(*map(torch.from_numpy, (points, ids[order], otherwise)))

    assert sizes.tolist() == [1, 200, 0, 99, 700, 0]
    assert centers.numpy() == pytest.approx(means(points, ids[order], otherwise), abs=1e-5)
    assert (centers[[2, 5]] == 9).all()


def test_empty_clusters_halve_the_largest() -> None:
    centers = torch.tensor([[1.0, 1], [2, 2], [4, 4], [8, 8], [16, 16]])

    moved = torch_lloyd._refilled(centers, torch.tensor([5, 0, 9, 0, 1])) / centers

    shift = 1 / 256
    assert moved.tolist() == [
        [1 + shift, 1 - shift],  # This is the second largest cluster.
        [(1 - shift) / 2, (1 + shift) / 2],
        [1 + shift, 1 - shift],  # This is the largest cluster.
        [(1 - shift) / 2, (1 + shift) / 2],
        [1, 1],
    ]


def test_cluster_of_one_point_is_not_halved() -> None:
    centers = torch.tensor([[1.0], [2], [3]])

    assert torch_lloyd._refilled(centers, torch.tensor([1, 0, 1])).tolist() == [[1], [2], [3]]


def test_centers_that_start_at_one_place_end_apart() -> None:
    points = torch.from_numpy(noise(1000, 8))
    points -= points.mean(0)

    centers = iterate(points, points[:1].repeat(30, 1), 30)

    assert set(torch_lloyd._nearest(points, centers).tolist()) == set(range(30))


def test_products_are_rounded_in_the_iterations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    used, products = [], torch.addmm

    def look(*arguments: torch.Tensor) -> torch.Tensor:
        used.append(torch.backends.cuda.matmul.fp32_precision)
        return products(*arguments)

    monkeypatch.setattr(torch, "addmm", look)
    before = torch.backends.cuda.matmul.fp32_precision
    found(noise(50, 4), 5, 0, 3)

    assert used == ["tf32", "tf32", "tf32", "ieee"]
    assert torch.backends.cuda.matmul.fp32_precision == before


def test_setting_for_products_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    before = torch.backends.cuda.matmul.fp32_precision
    monkeypatch.setattr(torch, "addmm", fail)
    with pytest.raises(torch.OutOfMemoryError):
        found(noise(50, 4), 5, 0)

    assert torch.backends.cuda.matmul.fp32_precision == before


def test_iterations_wait_for_nothing_that_the_device_computes() -> None:
    # Fake tensors have a shape but no values, so any operation that reads a value fails.
    with FakeTensorMode():
        points, centers = torch.empty(10_000, 64, device="cuda"), torch.empty(500, 64, device="cuda")
        with pytest.raises(DynamicOutputShapeException):
            points[points[:, 0] > 0]

        moved = iterate(points, centers, 3)

    assert (moved.shape, moved.device.type) == ((500, 64), "cuda")


@pytest.mark.gpu
class TestOnAGpu:
    def test_inertia_is_that_of_faiss(self) -> None:
        points = embeddings(Options(), 20_000)

        ids = torch_lloyd.lloyd(points, 400, 0, 40, device="cuda")

        assert inertia(points, ids) <= 1.005 * inertia(points, lloyd(points, 400, 0, 40))

    def test_runs_give_the_same_bits(self) -> None:
        points = embeddings(Options(), 20_000)

        runs = [torch_lloyd.lloyd(points, 400, 0, 40, device="cuda") for _ in range(3)]

        assert np.array_equal(runs[0], runs[1])
        assert np.array_equal(runs[0], runs[2])

    def test_torch_kmeans_runs_there(self, caplog: pytest.LogCaptureFixture) -> None:
        points = embeddings(Options(), 20_000)

        ids = clusterings["torch_kmeans"](points, 400, 0)

        assert np.array_equal(ids, torch_lloyd.lloyd(points, 400, 0, 40, device="cuda"))
        assert caplog.messages == []

    @pytest.mark.parametrize("num_clusters", [1, 2, 300, 5000])
    def test_iterations_do_not_wait(self, num_clusters: int) -> None:
        points = torch.randn(20_000, 64, device="cuda")
        centers = points[:num_clusters].clone()
        iterate(points, centers, 1)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            iterate(points, centers, 3)
        finally:
            torch.cuda.set_sync_debug_mode("default")
