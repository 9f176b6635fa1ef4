import numpy as np
import pytest

from raycal.algorithm.clustering import clusterings, kmeans
from raycal.algorithm.clustering.spherical import spherical_kmeans


def rays(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (90, 3) near three axes at distances from 1 to 100, and the axis of each."""
    rng = np.random.default_rng(seed)
    axis = rng.permutation(np.repeat(np.arange(3), 30))
    points = np.eye(3)[axis] + rng.normal(scale=0.05, size=(90, 3))
    return (points * rng.uniform(1, 100, (90, 1))).astype(np.float32), axis


def partition(ids: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(ids == each).tolist()) for each in set(ids.tolist())}


def test_points_in_one_direction_share_a_cluster_however_far_they_are() -> None:
    points, axis = rays(0)

    found = [partition(spherical_kmeans(points, 3, seed)) for seed in range(10)]

    assert partition(axis) in found
    assert partition(axis) not in [partition(kmeans(points, 3, seed)) for seed in range(10)]


@pytest.mark.parametrize("scale", [2.0**-7, 2.0**9])
def test_length_of_the_points_does_not_matter(scale: float) -> None:
    points, _ = rays(1)
    lengths = np.where(np.arange(90) % 2, scale, 1).astype(np.float32)[:, None]

    assert np.array_equal(spherical_kmeans(points * lengths, 7, 3), spherical_kmeans(points, 7, 3))


def test_every_point_has_the_center_with_the_largest_cosine() -> None:
    points, _ = rays(2)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)

    ids = spherical_kmeans(points, 5, 0, iterations=100)

    sums = np.stack([unit[ids == cluster].sum(axis=0) for cluster in range(5)])
    cosines = unit @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T
    assert np.array_equal(cosines.argmax(axis=1), ids)


def test_points_at_zero_are_clustered() -> None:
    assert clusterings["spherical_kmeans"](np.zeros((20, 3), np.float32), 4, 0).shape == (20,)
