import numpy as np
import pytest

from raycal.algorithm.clustering import inertia
from raycal.algorithm.clustering.means import means

POINTS = np.array([[0, 0], [2, 0], [5, 5], [0, 4]], np.float32)


def test_means_are_those_of_each_cluster_and_an_empty_one_keeps_its_own() -> None:
    otherwise = np.full((4, 2), 9, np.float32)

    found = means(POINTS, np.array([3, 3, 0, 3]), otherwise)

    assert found.tolist() == [[5, 5], [9, 9], [9, 9], [pytest.approx(2 / 3), pytest.approx(4 / 3)]]
    assert found.dtype == np.float32
    assert (otherwise == 9).all()


def test_inertia_is_the_sum_of_squared_distances_to_the_means() -> None:
    assert inertia(POINTS, np.array([0, 0, 2, 2])) == pytest.approx(1 + 1 + 2 * (2.5**2 + 0.5**2))
    assert inertia(POINTS, np.arange(4)) == 0


def test_inertia_of_many_points_is_that_of_all_of_them() -> None:
    points = np.random.default_rng(0).random((10_000, 3), np.float32)

    assert inertia(points, np.zeros(10_000, np.int64)) == pytest.approx(10_000 * points.var(axis=0).sum(), rel=1e-5)
