import faiss
import numpy as np
import numpy.typing as npt
import pytest

from raycal.algorithm.clustering import kmeans


def cloud(num_points: int, width: int) -> npt.NDArray[np.float32]:
    """Points without clusters that are positive, like pooled embeddings."""
    return np.abs(np.random.default_rng(5).normal(size=(num_points, width))).astype(np.float32)


def means(points: npt.NDArray[np.float32], cluster_ids: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.float64]:
    return np.stack([points[cluster_ids == cluster].mean(axis=0, dtype=np.float64) for cluster in range(k)])


def test_separated_blobs_are_found() -> None:
    rng = np.random.default_rng(0)
    blob = rng.permutation(np.repeat(np.arange(4), 25))
    centers = np.array([[0, 0, 0], [50, 0, 0], [0, 50, 0], [0, 0, 50]])
    points = (centers[blob] + rng.normal(size=(100, 3))).astype(np.float32)

    # The initial centers are random, so a seed may end with two centers in one blob. The best of several seeds has one
    # center in each blob.
    found = [kmeans(points, 4, seed) for seed in range(30)]

    partitions = [{frozenset(np.flatnonzero(ids == cluster).tolist()) for cluster in range(4)} for ids in found]
    assert {frozenset(np.flatnonzero(blob == b).tolist()) for b in range(4)} in partitions


def test_two_far_blobs_are_found_from_every_start() -> None:
    points = np.concatenate([cloud(30, 8), cloud(20, 8) + 100])

    for seed in range(5):
        cluster_ids = kmeans(points, 2, seed)
        assert set(cluster_ids[:30]) | set(cluster_ids[30:]) == {0, 1}
        assert len(set(cluster_ids[:30])) == len(set(cluster_ids[30:])) == 1


@pytest.mark.parametrize(("num_points", "width", "k"), [(300, 2, 7), (600, 64, 30), (1500, 512, 50)])
def test_same_seed_gives_same_ids_for_any_number_of_threads(num_points: int, width: int, k: int) -> None:
    points = cloud(num_points, width)
    found = []
    for threads in (1, 2, 1):
        faiss.omp_set_num_threads(threads)
        found.append(kmeans(points, k, 11))

    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_another_seed_starts_elsewhere() -> None:
    points = cloud(300, 4)

    assert not np.array_equal(kmeans(points, 10, 0), kmeans(points, 10, 1))


def test_largest_seed_of_the_loop_is_accepted() -> None:
    assert set(kmeans(cloud(50, 4), 3, 2**31 - 1)) == {0, 1, 2}


def test_more_iterations_do_not_make_clusters_looser() -> None:
    points = cloud(400, 3)

    def inertia(iterations: int) -> float:
        cluster_ids = kmeans(points, 12, 0, iterations=iterations)
        return float(((points - means(points, cluster_ids, 12)[cluster_ids]) ** 2).sum())

    assert inertia(40) < inertia(1)


@pytest.mark.parametrize(("num_points", "k"), [(4000, 2), (1001, 3), (19, 10), (299, 150)])
def test_all_points_are_used_also_above_256_a_cluster(num_points: int, k: int) -> None:
    points = cloud(num_points, 2)

    cluster_ids = kmeans(points, k, 0, iterations=200)

    # At Lloyd's fixed point, each point is nearest to the mean of its own cluster. A subset has another fixed point.
    distances = ((points[:, None] - means(points, cluster_ids, k)) ** 2).sum(axis=2)
    assert np.array_equal(distances.argmin(axis=1), cluster_ids)


@pytest.mark.parametrize(("num_points", "k"), [(1, 1), (2, 2), (7, 7), (30, 30), (10, 9), (300, 1), (1000, 3)])
def test_ids_are_in_range_and_faiss_warns_of_nothing(
    num_points: int, k: int, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster_ids = kmeans(cloud(num_points, 4), k, 0)

    assert cluster_ids.shape == (num_points,)
    assert set(cluster_ids) == set(range(k))
    assert capfd.readouterr() == ("", "")


def test_equal_points_share_a_cluster() -> None:
    points = np.repeat(cloud(3, 4), 5, axis=0)

    cluster_ids = kmeans(points, 8, 0)

    assert all(len(set(cluster_ids[begin : begin + 5])) == 1 for begin in (0, 5, 10))
    assert cluster_ids.max() < 8
    assert cluster_ids.min() >= 0


def test_points_of_another_layout_or_type_give_the_same_clusters() -> None:
    points = cloud(200, 6)
    expected = kmeans(points, 5, 0)

    assert np.array_equal(kmeans(np.asfortranarray(points), 5, 0), expected)
    assert np.array_equal(kmeans(np.repeat(points, 2, axis=1)[:, ::2], 5, 0), expected)
    assert np.array_equal(kmeans(points.astype(np.float64), 5, 0), expected)
