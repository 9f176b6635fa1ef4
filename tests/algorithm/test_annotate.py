from collections.abc import Callable, Sequence

import numpy as np

from raycal.algorithm.annotate import annotate_clusters, annotate_samples, ask_for_representative
from raycal.algorithm.expert import Cluster, ClusterAnswer, Oracle, SampleAnswers
from raycal.algorithm.records import Answer, Indices, Interaction, Kind


def draws() -> np.random.Generator:
    return np.random.default_rng(0)


def a_cluster(indices: Sequence[int]) -> Cluster:
    return Cluster(indices=np.array(indices, np.int64), embeddings=lambda: np.zeros((len(indices), 1), np.float32))


class Waiting:
    """A queue that returns clusters in the given order, and records the refused ones."""

    def __init__(self, *members: Sequence[int]) -> None:
        self._waiting = [a_cluster(indices) for indices in members]
        self.refused: list[list[int]] = []

    def pop(self) -> Cluster | None:
        return self._waiting.pop(0) if self._waiting else None

    def refuse(self, cluster: Cluster) -> None:
        self.refused.append(cluster.indices.tolist())


class Parity:
    """Labels a sample with its index modulo 10, and a cluster if its first index is even; records what it was shown.

    Like a person, this expert knows neither its errors nor the purity of a cluster.
    """

    def __init__(self) -> None:
        self.shown: list[list[int]] = []

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        self.shown.append(indices.tolist())
        return SampleAnswers(labels=indices % 10, wrong=None, seconds=indices / 2)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        self.shown.append(cluster.indices.tolist())
        first, cost = int(cluster.indices[0]), float(len(cluster.indices))
        return ClusterAnswer(label=None if first % 2 else first, purity=None, num_wrong=None, seconds=cost)

    def truth(self, indices: Indices) -> None:
        return None


class Known(Parity):
    """Like a simulated expert, reports which samples it labeled incorrectly, and the purity of a cluster."""

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        return SampleAnswers(labels=indices % 10, wrong=indices > 20, seconds=indices / 2)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        return ClusterAnswer(label=3, purity=0.75, num_wrong=1, seconds=2.0)


def samples(expert: Parity, indices: Sequence[int], *, spent: int = 0) -> list[Interaction]:
    return list(annotate_samples(np.array(indices, np.int64), expert, draws, iteration=4, step=1, spent=spent))


def clusters(expert: Parity, *members: Sequence[int], spent: int = 0, budget: int = 9) -> list[Interaction]:
    return list(annotate_clusters(Waiting(*members), asking(expert), budget, iteration=4, step=1, spent=spent))


def asking(expert: Parity) -> Callable[[Cluster], ClusterAnswer]:
    return lambda cluster: expert.label_cluster(cluster, draws())


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
    assert (row.kind, row.answer) == (Kind.SAMPLE, Answer.LABELED)
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


def test_labeled_cluster_row_has_every_field() -> None:
    row = clusters(Known(), [4, 6, 9, 11], spent=7)[0]

    assert (row.iteration, row.step, row.interaction) == (4, 1, 8)
    assert (row.kind, row.answer) == (Kind.CLUSTER, Answer.LABELED)
    assert (row.label, row.purity, row.wrong, row.seconds) == (3, 0.75, 1, 2.0)
    assert row.indices.tolist() == [4, 6, 9, 11]
    assert row.num_samples == 4


def test_refused_cluster_is_a_row_that_costs_and_has_no_label() -> None:
    labeled, refused = clusters(Parity(), [2, 3], [5, 6, 8])

    assert (labeled.answer, labeled.label) == (Answer.LABELED, 2)
    assert (refused.answer, refused.label, refused.wrong, refused.purity) == (Answer.REFUSED, None, None, None)
    assert (refused.interaction, refused.num_samples, refused.seconds) == (2, 3, 3.0)
    assert refused.indices.tolist() == [5, 6, 8]


def test_class_zero_is_a_label_and_no_refusal() -> None:
    assert clusters(Parity(), [0, 1])[0].answer is Answer.LABELED
    assert samples(Parity(), [10])[0].label == 0


def test_next_cluster_is_shown_only_when_it_is_its_turn() -> None:
    expert = Parity()
    rows = annotate_clusters(Waiting([2], [4]), asking(expert), 9, iteration=0, step=0, spent=0)

    assert expert.shown == []
    next(rows)
    assert expert.shown == [[2]]
    next(rows)
    assert expert.shown == [[2], [4]]


def test_no_more_clusters_are_shown_than_the_budget_and_refusals_are_told() -> None:
    waiting, expert = Waiting([1], [2], [3], [5]), Parity()
    rows = list(annotate_clusters(waiting, asking(expert), 3, iteration=0, step=0, spent=0))

    assert [row.indices.tolist() for row in rows] == [[1], [2], [3]]
    assert waiting.refused == [[1], [3]]


def test_row_of_an_answer_to_a_part_of_a_cluster_has_that_part() -> None:
    def ask(cluster: Cluster) -> ClusterAnswer:
        return ClusterAnswer(label=1, purity=2 / 3, num_wrong=0, seconds=2.0, part=cluster.indices[:2])

    (row,) = annotate_clusters(Waiting([4, 6, 9]), ask, 9, iteration=0, step=0, spent=0)

    assert (row.indices.tolist(), row.num_samples, row.purity) == ([4, 6], 2, 2 / 3)


class TestRepresentative:
    # The samples are on a line at 0, 1, 2, 3, 9. The mean is 3, so sample 8 is the medoid.
    CLUSTER = Cluster(
        indices=np.array([2, 4, 6, 8, 9]), embeddings=lambda: np.array([[0], [1], [2], [3], [9]], np.float32)
    )

    def test_label_of_the_medoid_goes_to_the_whole_cluster(self) -> None:
        true_labels = np.array([0, 0, 1, 0, 1, 0, 1, 0, 2, 2])
        answer = ask_for_representative(self.CLUSTER, Oracle(true_labels, seconds_per_sample=3.5), draws())

        assert (answer.label, answer.purity, answer.num_wrong, answer.seconds) == (2, 0.6, 3, 3.5)
        assert answer.labeled(self.CLUSTER).tolist() == [2, 4, 6, 8, 9]

    def test_expert_sees_nothing_else_and_may_know_no_truth(self) -> None:
        expert = Parity()
        answer = ask_for_representative(self.CLUSTER, expert, draws())

        assert expert.shown == [[8]]
        assert (answer.label, answer.purity, answer.num_wrong, answer.seconds) == (8, None, None, 4.0)
