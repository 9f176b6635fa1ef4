import numpy as np
import pytest

from raycal.algorithm.clustering import kmeans
from raycal.algorithm.clustering.whitened import whitened, whitened_kmeans


def stripes() -> tuple[np.ndarray, np.ndarray]:
    """Points (200, 6) in two groups, and the group of each; the groups differ only in a direction of low variance."""
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat([0, 1], 100))
    flat = np.stack([rng.uniform(-100, 100, 200), group + rng.normal(scale=0.01, size=200)], axis=1)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    return (flat @ turn + 7).astype(np.float32), group


def agrees(ids: np.ndarray, group: np.ndarray) -> bool:
    return np.array_equal(ids, group) or np.array_equal(ids, 1 - group)


def test_direction_of_little_variance_counts_as_much_as_any() -> None:
    points, group = stripes()

    assert any(agrees(whitened_kmeans(points, 2, seed), group) for seed in range(10))
    assert not any(agrees(kmeans(points, 2, seed), group) for seed in range(10))


def test_direction_beyond_the_dimensions_does_not_count() -> None:
    points, group = stripes()

    assert not any(agrees(whitened_kmeans(points, 2, seed, dimensions=1), group) for seed in range(10))


@pytest.mark.parametrize(("dimensions", "width"), [(1, 1), (3, 3), (4, 4), (5, 4), (1000, 4)])
def test_components_are_uncorrelated_with_variance_one_and_no_more_than_there_are(dimensions: int, width: int) -> None:
    rng = np.random.default_rng(1)
    points = (rng.normal(size=(500, 4)) * [1, 30, 5, 0.1] @ rng.normal(size=(4, 9)) + 3).astype(np.float32)

    found = whitened(points, dimensions)

    assert found.shape == (500, width)
    assert found.dtype == np.float32
    assert found.T @ found / 500 == pytest.approx(np.eye(width), abs=1e-3)
    assert found.mean(axis=0) == pytest.approx(np.zeros(width), abs=1e-3)


@pytest.mark.parametrize("points", [np.ones((20, 6), np.float32), np.ones((1, 3), np.float32)])
def test_points_that_are_all_alike_have_no_direction(points: np.ndarray) -> None:
    assert whitened(points, 64).tolist() == [[0.0]] * len(points)
