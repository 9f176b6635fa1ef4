import numpy as np
from views import rows, view

from raycal.algorithm.acquisition import acquisitions
from raycal.algorithm.acquisition.typiclust import _mean_distances

typiclust = acquisitions["typiclust"]
RNG = np.random.default_rng(0)
DIRECTIONS = np.eye(4)


def groups(*sizes: int) -> np.ndarray:
    """Groups of samples around unit vectors, one group after the other; the first sample of each group is at the
    group's center."""
    parts = []
    for direction, size in zip(DIRECTIONS, sizes, strict=False):
        around = 0.1 * RNG.normal(size=(size, 4))
        around[0] = 0
        around -= np.outer(around @ direction, direction)
        parts.append(direction + around)
    return np.concatenate(parts)


def test_typical_samples_of_the_largest_clusters_are_asked_for() -> None:
    given = view(embeddings=groups(40, 20, 30, 10))

    picked = rows(typiclust(given, 4))
    assert [np.searchsorted([40, 60, 90], row, side="right") for row in picked] == [0, 2, 1, 3]


def test_middle_of_a_cluster_is_typical() -> None:
    assert rows(typiclust(view(embeddings=groups(40)), 1, neighbors=39)) == [0]


def test_clusters_with_annotated_samples_come_last() -> None:
    given = view(embeddings=groups(40, 20, 30), annotated=DIRECTIONS[:1])

    picked = rows(typiclust(given, 3, max_clusters=3))
    assert [np.searchsorted([40, 60], row, side="right") for row in picked] == [2, 1, 0]


def test_clusters_give_a_sample_each_in_turn() -> None:
    picked = rows(typiclust(view(embeddings=groups(12, 8)), 6, max_clusters=2))

    assert [row >= 12 for row in picked] == [False, True] * 3
    assert len(set(picked)) == 6


def test_small_clusters_come_after_all_others() -> None:
    given = view(embeddings=groups(12, 5))

    assert [row >= 12 for row in rows(typiclust(given, 17, max_clusters=2))] == [False] * 12 + [True] * 5
    assert [row >= 12 for row in rows(typiclust(given, 4, max_clusters=2, smallest=5))] == [False, True] * 2


def test_length_of_embeddings_does_not_matter() -> None:
    points = groups(30, 20)
    scaled = points * RNG.uniform(1, 9, size=(50, 1))

    assert rows(typiclust(view(embeddings=points), 2)) == rows(typiclust(view(embeddings=scaled), 2))


def test_mean_distance_is_to_the_nearest_others() -> None:
    line = np.array([[0, 0], [1, 0], [3, 0], [7, 0]], np.float32)

    assert _mean_distances(line, 2).tolist() == [2, 1.5, 2.5, 5]
    assert _mean_distances(line, 20).tolist()[0] == np.float32(11 / 3)
    assert _mean_distances(line[:1], 20).tolist() == [0]
