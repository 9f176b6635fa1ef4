from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.annotate import annotate_clusters, annotate_samples, clusters_to_show
from raycal.algorithm.expert import Cluster, ClusterAnswer, SampleAnswers
from raycal.algorithm.records import Answer, Indices, Interaction, Kind


def draws() -> np.random.Generator:
    return np.random.default_rng(0)


def a_cluster(indices: Sequence[int]) -> Cluster:
    return Cluster(indices=np.array(indices, np.int64), embeddings=lambda: np.zeros((len(indices), 1), np.float32))


class Parity:
    """Labels a sample with its index modulo 10, a cluster whose first index is even, and remembers what it was shown.

    It knows nothing of errors or purity, as a person.
    """

    def __init__(self) -> None:
        self.shown: list[list[int]] = []

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        self.shown.append(indices.tolist())
        return SampleAnswers(labels=indices % 10, wrong=None, seconds=indices / 2)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        self.shown.append(cluster.indices.tolist())
        first, cost = int(cluster.indices[0]), float(len(cluster.indices))
        return ClusterAnswer(label=None if first % 2 else first, purity=None, wrong=None, seconds=cost)


class Known(Parity):
    """As a simulation: says which samples it got wrong, and the purity of a cluster."""

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        return SampleAnswers(labels=indices % 10, wrong=indices > 20, seconds=indices / 2)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        return ClusterAnswer(label=3, purity=0.75, wrong=1, seconds=2.0)


def samples(expert: Parity, indices: Sequence[int], *, spent: int = 0) -> list[Interaction]:
    return list(annotate_samples(np.array(indices, np.int64), expert, draws, iteration=4, step=1, spent=spent))


def clusters(expert: Parity, *members: Sequence[int], spent: int = 0) -> list[Interaction]:
    shown = [a_cluster(indices) for indices in members]
    return list(annotate_clusters(shown, expert, draws, iteration=4, step=1, spent=spent))


def test_samples_are_asked_in_the_order_given() -> None:
    expert = Parity()
    rows = samples(expert, [17, 3, 21])

    assert [row.indices.tolist() for row in rows] == [[17], [3], [21]]
    assert [row.label for row in rows] == [7, 3, 1]
    assert [row.seconds for row in rows] == [8.5, 1.5, 10.5]
    assert expert.shown == [[17, 3, 21]]


def test_sample_row_has_every_field() -> None:
    row = samples(Known(), [23], spent=30)[0]

    assert (row.iteration, row.step, row.interaction) == (4, 1, 31)
    assert (row.kind, row.answer) == (Kind.SAMPLE, Answer.LABELLED)
    assert (row.label, row.purity, row.wrong, row.num_samples) == (3, None, 1, 1)
    assert row.indices.dtype == np.int64
    assert [type(value) for value in (row.label, row.wrong, row.seconds)] == [int, int, float]


def test_wrong_is_kept_for_each_sample_and_unknown_stays_unknown() -> None:
    assert [row.wrong for row in samples(Known(), [5, 25])] == [0, 1]
    assert [row.wrong for row in samples(Parity(), [5, 25])] == [None, None]


def test_running_numbers_follow_what_was_spent() -> None:
    assert [row.interaction for row in samples(Parity(), [5, 6, 7], spent=10)] == [11, 12, 13]
    assert [row.interaction for row in clusters(Parity(), [2], [1], [4], spent=10)] == [11, 12, 13]
    assert [row.interaction for row in samples(Parity(), [5])] == [1]


def test_no_samples_and_no_clusters_give_no_rows() -> None:
    assert samples(Parity(), []) == []
    assert clusters(Parity()) == []


def test_labelled_cluster_row_has_every_field() -> None:
    row = clusters(Known(), [4, 6, 9, 11], spent=7)[0]

    assert (row.iteration, row.step, row.interaction) == (4, 1, 8)
    assert (row.kind, row.answer) == (Kind.CLUSTER, Answer.LABELLED)
    assert (row.label, row.purity, row.wrong, row.seconds) == (3, 0.75, 1, 2.0)
    assert row.indices.tolist() == [4, 6, 9, 11]
    assert row.num_samples == 4


def test_refused_cluster_is_a_row_that_costs_and_has_no_label() -> None:
    labelled, refused = clusters(Parity(), [2, 3], [5, 6, 8])

    assert (labelled.answer, labelled.label) == (Answer.LABELLED, 2)
    assert (refused.answer, refused.label, refused.wrong, refused.purity) == (Answer.REFUSED, None, None, None)
    assert (refused.interaction, refused.num_samples, refused.seconds) == (2, 3, 3.0)
    assert refused.indices.tolist() == [5, 6, 8]


def test_class_zero_is_a_label_and_no_refusal() -> None:
    assert clusters(Parity(), [0, 1])[0].answer is Answer.LABELLED
    assert samples(Parity(), [10])[0].label == 0


def test_next_cluster_is_shown_only_when_it_is_its_turn() -> None:
    expert = Parity()
    rows = annotate_clusters([a_cluster([2]), a_cluster([4])], expert, draws, iteration=0, step=0, spent=0)

    assert expert.shown == []
    next(rows)
    assert expert.shown == [[2]]
    next(rows)
    assert expert.shown == [[2], [4]]


def test_largest_clusters_come_first() -> None:
    indices = np.array([1, 3, 5, 7, 9, 11])

    shown = clusters_to_show(indices, np.array([2, 0, 2, 1, 2, 1]), 3)

    assert [members.tolist() for members in shown] == [[1, 5, 9], [7, 11], [3]]


def test_equal_sizes_come_by_their_smallest_index() -> None:
    shown = clusters_to_show(np.array([4, 6, 8, 10]), np.array([3, 0, 3, 0]), 4)

    assert [members.tolist() for members in shown] == [[4, 8], [6, 10]]


def test_budget_cuts_the_smallest_clusters() -> None:
    indices, cluster_ids = np.arange(6), np.array([0, 1, 1, 2, 2, 2])

    assert [m.tolist() for m in clusters_to_show(indices, cluster_ids, 2)] == [[3, 4, 5], [1, 2]]
    assert [m.tolist() for m in clusters_to_show(indices, cluster_ids, 1)] == [[3, 4, 5]]
    assert clusters_to_show(indices, cluster_ids, 0) == []


def test_empty_clusters_are_not_shown() -> None:
    shown = clusters_to_show(np.array([2, 3]), np.array([7, 4]), 8)

    assert [members.tolist() for members in shown] == [[2], [3]]


@pytest.mark.parametrize("budget", [1, 5])
def test_one_sample_is_one_cluster(budget: int) -> None:
    shown = clusters_to_show(np.array([12]), np.array([0]), budget)

    assert [members.tolist() for members in shown] == [[12]]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 8))
def test_clusters_to_show_equals_a_plain_grouping(cluster_ids: list[int], budget: int) -> None:
    indices = 3 * np.arange(len(cluster_ids)) + 1
    indices.flags.writeable = False
    groups: dict[int, list[int]] = {}
    for index, cluster in zip(indices.tolist(), cluster_ids, strict=True):
        groups.setdefault(cluster, []).append(index)
    expected = sorted(groups.values(), key=lambda members: (-len(members), members[0]))[:budget]

    shown = clusters_to_show(indices, np.array(cluster_ids, np.int64), budget)

    assert [members.tolist() for members in shown] == expected
    assert all(members.dtype == np.int64 for members in shown)
