import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.clustering import inertia, kmeans
from raycal.algorithm.clustering.means import means
from raycal.algorithm.clustering.two_level import shares, two_level_kmeans


def cloud(num_points: int, width: int, groups: int) -> np.ndarray:
    """Points scattered around `groups` random centers."""
    rng = np.random.default_rng(5)
    centers = rng.normal(size=(groups, width))
    return (centers[rng.integers(groups, size=num_points)] + rng.normal(scale=0.5, size=(num_points, width))).astype(
        np.float32
    )


@pytest.mark.parametrize(("num_points", "k", "most"), [(4000, 100, 1.02), (4000, 9, 1.05), (600, 200, 1.05)])
def test_inertia_is_close_to_that_of_exact_kmeans(num_points: int, k: int, most: float) -> None:
    points = cloud(num_points, 16, 30)

    assert inertia(points, two_level_kmeans(points, k, 0)) <= most * inertia(points, kmeans(points, k, 0))


def test_every_round_makes_clusters_tighter() -> None:
    points = cloud(3000, 16, 30)

    found = [inertia(points, two_level_kmeans(points, 60, 0, rounds=rounds)) for rounds in (0, 1, 2, 5)]

    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_after_many_rounds_each_point_is_nearest_to_the_mean_of_its_own_cluster() -> None:
    points = cloud(800, 3, 10)

    ids = two_level_kmeans(points, 20, 0, rounds=200)

    centers = means(points, ids, np.zeros((20, 3), np.float32))
    assert np.array_equal(((points[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1), ids)


@pytest.mark.parametrize(("num_points", "width", "k"), [(300, 2, 7), (1500, 64, 50), (3000, 512, 120)])
def test_same_seed_gives_same_ids_for_any_number_of_threads(num_points: int, width: int, k: int) -> None:
    points = cloud(num_points, width, 20)
    found = []
    for threads in (1, 2, 1):
        faiss.omp_set_num_threads(threads)
        found.append(two_level_kmeans(points, k, 11))

    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_another_seed_starts_elsewhere() -> None:
    points = cloud(300, 4, 5)

    assert not np.array_equal(two_level_kmeans(points, 10, 0), two_level_kmeans(points, 10, 1))


@pytest.mark.parametrize(("num_points", "k"), [(1, 1), (2, 2), (3, 3), (30, 30), (10, 9), (300, 1), (1000, 30)])
def test_as_many_clusters_as_asked_for_and_faiss_warns_of_nothing(
    num_points: int, k: int, capfd: pytest.CaptureFixture[str]
) -> None:
    ids = two_level_kmeans(cloud(num_points, 4, 5), k, 0, rounds=0)

    assert set(ids.tolist()) == set(range(k))
    assert capfd.readouterr() == ("", "")


def test_clusters_are_in_proportion_to_the_cells() -> None:
    assert shares(np.array([101, 51, 0, 26, 26]), 12).tolist() == [5, 3, 0, 2, 2]
    assert shares(np.array([997, 1, 1, 1]), 8).tolist() == [5, 1, 1, 1]
    assert shares(np.array([5, 5, 5]), 4).tolist() == [2, 1, 1]
    assert shares(np.array([3, 0, 1]), 4).tolist() == [3, 0, 1]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20).filter(any), st.data())
def test_each_cell_gets_what_it_can_hold(sizes: list[int], data: st.DataObject) -> None:
    used = sum(size > 0 for size in sizes)
    total = data.draw(st.integers(used, sum(sizes)))

    found = shares(np.array(sizes), total).tolist()

    assert sum(found) == total
    assert all((size > 0) <= share <= size for share, size in zip(found, sizes, strict=True))
