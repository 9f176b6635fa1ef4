import numpy as np
import pytest

from raycal.algorithm.acquisition import distances
from raycal.algorithm.acquisition.distances import blocks, nearest_squared, normalized, squared_distances


def points(num_points: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_points, 5)).astype(np.float32)


def test_blocks_cover_all_rows_and_hold_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK_FLOATS", 10)

    assert list(blocks(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(blocks(2, 100)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks(3, 0)) == [slice(0, 3)]
    assert list(blocks(0, 3)) == []


def test_distances_are_euclidean() -> None:
    one, other = points(4, 0), points(3, 1)
    expected = ((one[:, None] - other) ** 2).sum(axis=2)

    np.testing.assert_allclose(squared_distances(one, other), expected, rtol=1e-4)
    assert squared_distances(one, one).min() >= 0


def test_nearest_is_found_over_all_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = points(9, 0), points(4, 1)
    monkeypatch.setattr(distances, "BLOCK_FLOATS", 8)

    np.testing.assert_allclose(
        nearest_squared(one, other), ((one[:, None] - other) ** 2).sum(axis=2).min(axis=1), rtol=1e-4
    )
    assert nearest_squared(one, other[:0]).tolist() == [np.inf] * 9


@pytest.mark.filterwarnings("error")
def test_normalized_points_are_at_distance_one_but_for_the_origin() -> None:
    given = np.array([[3, 4], [0, 0], [0, -2]], np.float32)
    found = normalized(given)

    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)
    assert found.dtype == np.float32
    assert given[0].tolist() == [3, 4]
