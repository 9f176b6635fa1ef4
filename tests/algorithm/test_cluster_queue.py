from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from raycal.algorithm.cluster_queue import ClusterQueue, ClusterRules, expected_labels, grouped
from raycal.algorithm.expert import Cluster, ClusterAnswer, Oracle
from raycal.algorithm.records import Floats, Indices, Predictions
from raycal.errors import InputError


def predictions(indices: Indices, probs: Sequence[Sequence[float]] | None = None) -> Predictions:
    """Predictions for samples on a line, where each sample's position is its index."""
    return Predictions(
        indices=indices,
        probs=np.full((len(indices), 2), 0.5, np.float32) if probs is None else np.array(probs, np.float32),
        embeddings=indices[:, None].astype(np.float32),
    )


class Halving:
    """A clustering that returns the given ids at the first call, and then halves its input; it records the seeds."""

    def __init__(self, *cluster_ids: int) -> None:
        self._first: tuple[int, ...] | None = cluster_ids
        self.seeds: list[int] = []

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        self.seeds.append(seed)
        ids, self._first = self._first, None
        return (np.arange(len(embeddings)) * 2 // len(embeddings)) if ids is None else np.array(ids, np.int64)


def queue(
    indices: Sequence[int],
    cluster_ids: Sequence[int],
    *,
    answer: Callable[[Cluster], ClusterAnswer] | None = None,
    probs: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
    clustering: Any = None,
    **rules: Any,
) -> ClusterQueue:
    return ClusterQueue(
        predictions(np.array(indices, np.int64), probs),
        max(len(indices), 1),
        ClusterRules(**rules),
        clustering=clustering or Halving(*cluster_ids),
        answer=answer or refuse,
        rng=np.random.default_rng(seed),
    )


def refuse(cluster: Cluster) -> ClusterAnswer:
    return ClusterAnswer(label=None, purity=None, num_wrong=None, seconds=0.0)


def shown(waiting: ClusterQueue, *, budget: int = 99, refused: bool = False) -> list[list[int]]:
    """The clusters in the order in which the queue returns them."""
    found = []
    while len(found) < budget and (cluster := waiting.pop()) is not None:
        found.append(cluster.indices.tolist())
        if refused:
            waiting.refuse(cluster)
    return found


def test_largest_come_first_then_those_with_the_smallest_index_and_empty_ones_never() -> None:
    assert shown(queue([1, 3, 5, 7, 9, 11], [2, 0, 2, 1, 2, 1])) == [[1, 5, 9], [7, 11], [3]]
    assert shown(queue([4, 6, 8, 10], [3, 0, 3, 0])) == [[4, 8], [6, 10]]
    assert shown(queue([2, 3], [7, 4])) == [[2], [3]]


def test_ids_of_more_than_16_bits_are_told_apart() -> None:
    assert shown(queue([1, 3, 5, 7, 9], [2**17 + 1, 1, 2**16 + 1, 1, 2**17])) == [[3, 7], [1], [5], [9]]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_order_by_size_equals_a_plain_grouping(cluster_ids: list[int]) -> None:
    indices = [3 * row + 1 for row in range(len(cluster_ids))]
    groups: dict[int, list[int]] = {}
    for index, cluster in zip(indices, cluster_ids, strict=True):
        groups.setdefault(cluster, []).append(index)

    expected = sorted(groups.values(), key=lambda members: (-len(members), members[0]))
    assert shown(queue(indices, cluster_ids)) == expected


def test_cluster_has_the_embeddings_of_its_samples() -> None:
    cluster = queue([4, 6, 8, 10], [1, 0, 1, 0]).pop()

    assert cluster is not None
    assert cluster.indices.tolist() == [4, 8]
    assert cluster.embeddings().tolist() == [[4], [8]]


def test_half_of_a_refused_cluster_has_the_embeddings_of_its_samples() -> None:
    waiting = queue([4, 6, 8, 10, 12], [1, 0, 1, 0, 1], on_refusal="split")
    cluster = waiting.pop()
    assert cluster is not None
    waiting.refuse(cluster)

    halves = [half for half in (waiting.pop(), waiting.pop(), waiting.pop()) if half is not None]

    assert [half.indices.tolist() for half in halves] == [[4, 8], [6, 10], [12]]
    assert [half.embeddings().tolist() for half in halves] == [[[4], [8]], [[6], [10]], [[12]]]


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        # The mean of 0, 1, 2, 3, 14 is 4, so the order by distance is 3, 2, 1, 0, 14.
        (0.8, [[0, 1, 2, 3], [20]]),
        (0.6, [[1, 2, 3], [20]]),
        (0.5, [[1, 2, 3], [20]]),
        (0.01, [[3], [20]]),
        (1.0, [[0, 1, 2, 3, 14], [20]]),
    ],
)
def test_core_is_what_lies_nearest_the_centroid_rounded_up(core: float, expected: list[list[int]]) -> None:
    assert shown(queue([0, 1, 2, 3, 14, 20], [0, 0, 0, 0, 0, 1], core=core)) == expected


def test_refused_cluster_is_left_alone_unless_it_is_to_be_split() -> None:
    clustering = Halving(0, 0, 0, 1)
    assert shown(queue([0, 1, 2, 3], [], clustering=clustering), refused=True) == [[0, 1, 2], [3]]
    assert len(clustering.seeds) == 1


def test_halves_of_a_refused_cluster_queue_up_by_size() -> None:
    waiting = queue(range(8), [0, 0, 0, 0, 0, 0, 1, 1], on_refusal="split")

    assert shown(waiting, budget=5, refused=True) == [[0, 1, 2, 3, 4, 5], [0, 1, 2], [3, 4, 5], [0, 1], [3, 4]]


def test_split_ends_with_single_samples_each_under_a_seed_of_its_own() -> None:
    clustering = Halving(0, 0, 0, 0)
    found = shown(queue(range(4), [], clustering=clustering, on_refusal="split"), refused=True)

    assert found == [[0, 1, 2, 3], [0, 1], [2, 3], [0], [1], [2], [3]]
    assert len(set(clustering.seeds)) == len(clustering.seeds) == 4


def test_cluster_that_does_not_fall_apart_is_not_shown_again() -> None:
    def alike(embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        return np.zeros(len(embeddings), np.int64)

    assert shown(queue(range(4), [], clustering=alike, on_refusal="split"), refused=True) == [[0, 1, 2, 3]]


def test_labeled_cluster_is_not_split() -> None:
    assert shown(queue(range(4), [0, 0, 1, 1], on_refusal="split")) == [[0, 1], [2, 3]]


def test_order_at_random_is_that_of_the_seed_and_not_that_of_the_sizes() -> None:
    cluster_ids = [0, 0, 0, 1, 1, 2, 3, 4]
    orders = [tuple(map(tuple, shown(queue(range(8), cluster_ids, order="random", seed=seed)))) for seed in (1, 1, 2)]

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == [(0, 1, 2), (3, 4), (5,), (6,), (7,)]


def test_value_prefers_a_small_cluster_that_is_sure_to_be_accepted() -> None:
    # There are two clusters: one of four samples, two of each class, and one of two samples of the same class.
    probs = [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0], [1, 0]]

    def order(threshold: float) -> list[list[int]]:
        ids = [0, 0, 0, 0, 1, 1]
        return shown(queue(range(6), ids, probs=probs, order="value", purity_threshold=threshold))

    assert order(0.8) == [[4, 5], [0, 1, 2, 3]]
    # Without a threshold, both clusters have two correct labels, so the larger one comes first.
    assert order(0.0) == [[0, 1, 2, 3], [4, 5]]


def test_expected_labels_of_a_known_case() -> None:
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], np.float32)

    # A threshold of 0.8 needs all three images, and a threshold of 0.6 needs two.
    assert expected_labels(probs, 0.8) == pytest.approx(2.4 * 0.9 * 0.8 * 0.7)
    two = 0.1 * 0.8 * 0.7 + 0.9 * 0.2 * 0.7 + 0.9 * 0.8 * 0.3
    assert expected_labels(probs, 0.6) == pytest.approx(2.4 * (0.9 * 0.8 * 0.7 + two))
    assert expected_labels(probs, 0.0) == pytest.approx(2.4)


@pytest.mark.parametrize(
    ("size", "threshold", "needed"), [(10, 0.95, 10), (10, 0.9, 9), (5, 0.8, 4), (3, 0.67, 3), (1000, 0.9, 900)]
)
def test_expected_labels_need_a_whole_number_of_images(size: int, threshold: float, needed: int) -> None:
    probs = np.tile(np.array([0.9, 0.1], np.float32), (size, 1))

    assert expected_labels(probs, threshold) == pytest.approx(0.9 * size * binom.sf(needed - 1, size, 0.9), rel=1e-4)


@pytest.mark.parametrize("threshold", [0.91, 0.95, 0.99, 1.0])
def test_value_of_a_cluster_that_the_expert_accepts_only_when_it_is_pure(threshold: float) -> None:
    probs = np.tile(np.array([0.9, 0.1], np.float32), (10, 1))

    assert expected_labels(probs, threshold) == pytest.approx(3.138, abs=0.001)


def test_threshold_between_two_numbers_of_images_counts_as_the_higher_one() -> None:
    probs = np.random.default_rng(0).dirichlet([5, 1, 1], 7).astype(np.float32)

    assert expected_labels(probs, 0.75) == expected_labels(probs, 6 / 7)
    assert expected_labels(probs, 0.75) < expected_labels(probs, 5 / 7)


class TestOracleOrder:
    IDS = (0, 0, 0, 0, 1, 1, 1, 1)

    def test_what_the_expert_will_label_most_rightly_comes_first_and_what_it_refuses_last(self) -> None:
        def order(threshold: float) -> list[list[int]]:
            expert = Oracle(np.array([0, 0, 0, 1, 1, 1, 0, 1, 1]), purity_threshold=threshold)
            rng = np.random.default_rng(0)
            ids = (0, 0, 0, 0, 0, 0, 1, 2, 2)
            return shown(queue(range(9), ids, answer=lambda one: expert.label_cluster(one, rng), order="oracle"))

        assert order(0.5) == [[0, 1, 2, 3, 4, 5], [7, 8], [6]]
        assert order(0.8) == [[7, 8], [6], [0, 1, 2, 3, 4, 5]]

    def test_expert_that_knows_no_errors_cannot_give_it(self) -> None:
        def unsure(cluster: Cluster) -> ClusterAnswer:
            return replace(refuse(cluster), label=1)

        with pytest.raises(InputError, match="order: oracle"):
            queue(range(8), self.IDS, answer=unsure, order="oracle")


@pytest.mark.parametrize("num_clusters", [1, 7, 2**16, 2**16 + 1, 200_000])
def test_rows_of_each_cluster_are_in_order(num_clusters: int) -> None:
    cluster_ids = np.random.default_rng(0).integers(num_clusters, size=1000)
    cluster_ids[:2] = 0, num_clusters - 1

    found = [rows.tolist() for rows in grouped(cluster_ids)]

    ids = sorted({*cluster_ids.tolist()})
    assert found == [[row for row, other in enumerate(cluster_ids.tolist()) if other == each] for each in ids]
