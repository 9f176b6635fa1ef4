"""Tests which clusters count as the same one seen again."""

import numpy as np

from raycal.people.same_clusters import same_clusters


def same(*clusters: list[int]) -> list[int]:
    image = np.concatenate([np.array(one, np.int64) for one in clusters])
    number = np.repeat(np.arange(len(clusters)), [len(one) for one in clusters])
    order = np.lexsort((number, image))
    return same_clusters(image[order], number[order], len(clusters)).tolist()


def test_clusters_that_share_half_of_all_their_images_are_the_same() -> None:
    assert same([1, 2, 3], [1, 2, 3]) == [0, 0]
    assert same([1, 2, 3], [2, 3, 4]) == [0, 0]  # 2 of 4
    assert same([1, 2, 3], [3, 4, 5]) == [0, 1]  # 1 of 5
    assert same([1, 2], [3, 4]) == [0, 1]


def test_part_of_a_large_cluster_is_not_the_same() -> None:
    assert same(list(range(10)), [0, 1, 2]) == [0, 1]


def test_best_earlier_cluster_counts() -> None:
    assert same([1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 5]) == [0, 0, 0]
    assert same([1, 2, 9, 8], [3, 4, 5, 6], [3, 4, 5, 1]) == [0, 1, 1]


def test_cluster_is_found_again_after_other_rounds() -> None:
    """Two rounds later, the images 1 to 3 are together again."""
    assert same([1, 2, 3], [1, 7, 8], [2, 5, 6], [3, 10, 11], [1, 2, 3]) == [0, 1, 2, 3, 0]


def test_chain_of_small_changes_stays_the_same_cluster() -> None:
    assert same([1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [4, 5, 6, 7]) == [0, 0, 0, 0]


def test_without_clusters_there_is_nothing_to_compare() -> None:
    assert same_clusters(np.zeros(0, np.int64), np.zeros(0, np.int64), 0).tolist() == []
