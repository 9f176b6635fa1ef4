import numpy as np
import pytest

from raycal.algorithm.expert import SECONDS_PER_IMAGE, Cluster, ClusterAnswer, Oracle, experts
from raycal.algorithm.records import Floats, Indices

RNG = np.random.default_rng(0)


def not_looked_at() -> Floats:
    raise AssertionError("the oracle needs no embeddings")


def shown(indices: Indices) -> Cluster:
    return Cluster(indices=indices, embeddings=not_looked_at)


def ask(labels: list[int], threshold: float = 0.8) -> ClusterAnswer:
    """The oracle's answer to a cluster whose samples have these true labels."""
    return Oracle(np.array(labels), purity_threshold=threshold).label_cluster(shown(np.arange(len(labels))), RNG)


@pytest.mark.parametrize(
    ("labels", "threshold"),
    [
        ([3, 3, 3, 3, 0], 0.8),
        ([1] * 8 + [2] * 2, 0.8),
        ([1] * 80_000 + [2] * 20_000, 0.8),
        ([1] * 7 + [0] * 3, 0.7),
        ([1] * 3 + [0, 2, 3, 4, 5, 6, 7], 0.3),
        ([2, 2, 2], 1.0),
    ],
    ids=["4 of 5", "8 of 10", "80000 of 100000", "7 of 10", "3 of 10", "all"],
)
def test_cluster_exactly_at_the_threshold_is_labeled(labels: list[int], threshold: float) -> None:
    answer = ask(labels, threshold)

    assert answer.label == max(set(labels), key=labels.count)
    assert answer.purity == threshold


@pytest.mark.parametrize("labels", [[3, 3, 3, 0], [1] * 799 + [2] * 201, [0, 1]], ids=["3 of 4", "0.799", "half"])
def test_cluster_below_the_threshold_is_refused_without_label_and_wrong(labels: list[int]) -> None:
    answer = ask(labels)

    assert answer.label is None
    assert answer.num_wrong is None
    assert answer.purity == max(labels.count(label) for label in labels) / len(labels)


def test_wrong_counts_the_samples_of_other_classes() -> None:
    answer = ask([4] * 9 + [0, 1])

    assert (answer.label, answer.num_wrong) == (4, 2)
    assert answer.purity == pytest.approx(9 / 11)


@pytest.mark.parametrize("labels", [[5, 2, 5, 2], [2, 5, 2, 5], [9, 5, 2]], ids=str)
def test_tie_for_the_mode_goes_to_the_smallest_class(labels: list[int]) -> None:
    assert ask(labels, 0.1).label == 2


def test_pure_cluster_has_purity_one_and_nothing_wrong() -> None:
    answer = ask([6])

    assert (answer.label, answer.purity, answer.num_wrong) == (6, 1.0, 0)


def test_only_the_samples_of_the_cluster_count() -> None:
    oracle = Oracle(np.array([0, 1, 1, 0, 1]))

    assert oracle.label_cluster(shown(np.array([1, 2, 4])), RNG).label == 1
    assert oracle.label_cluster(shown(np.array([0, 3])), RNG).label == 0
    assert oracle.label_cluster(shown(np.array([0, 1])), RNG).label is None


def test_samples_get_their_true_labels_in_the_order_asked() -> None:
    answers = Oracle(np.array([4, 5, 6, 7])).label_samples(np.array([3, 0, 2]), RNG)

    assert answers.labels.tolist() == [7, 4, 6]
    assert answers.wrong is not None
    assert answers.wrong.tolist() == [False, False, False]


def test_cost_is_the_paper_s_one_image_a_cluster_unless_priced_otherwise() -> None:
    labels, two = np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1]), np.array([0, 1])
    usual = Oracle(labels)
    priced = Oracle(labels, seconds_per_sample=1.5, seconds_per_cluster=7.0)

    assert SECONDS_PER_IMAGE == 4.2
    assert usual.label_samples(two, RNG).seconds.tolist() == [4.2, 4.2]
    assert usual.label_cluster(shown(two), RNG).seconds == 4.2
    assert priced.label_samples(two, RNG).seconds.tolist() == [1.5, 1.5]
    assert priced.label_cluster(shown(two), RNG).seconds == 7.0
    refused = priced.label_cluster(shown(np.array([1, 2])), RNG)
    assert (refused.label, refused.seconds) == (None, 7.0)


def test_cost_of_a_cluster_grows_with_the_images_shown_and_may_differ_when_refused() -> None:
    oracle = Oracle(np.array([0, 0, 0, 1]), seconds_per_cluster=5.0, seconds_per_image_shown=0.5)
    patient = Oracle(np.array([0, 1]), seconds_per_image_shown=0.5, seconds_per_refused_cluster=1.0)
    free = Oracle(np.array([0, 1]), seconds_per_refused_cluster=0)

    assert oracle.label_cluster(shown(np.array([0, 1, 2])), RNG).seconds == 5.0 + 3 * 0.5
    assert oracle.label_cluster(shown(np.array([0, 1, 2, 3])), RNG).seconds == 5.0 + 4 * 0.5
    assert patient.label_cluster(shown(np.array([0, 1])), RNG).seconds == 1.0 + 2 * 0.5
    assert patient.label_cluster(shown(np.array([0])), RNG).seconds == 4.2 + 0.5
    assert free.label_cluster(shown(np.array([0, 1])), RNG).seconds == 0


def test_oracle_draws_nothing() -> None:
    rng = np.random.default_rng(3)
    oracle = Oracle(np.array([0, 1]))

    oracle.label_samples(np.array([0, 1]), rng)
    oracle.label_cluster(shown(np.array([0, 1])), rng)

    assert rng.random() == np.random.default_rng(3).random()


def test_options_of_a_sweep_file_are_the_threshold_and_the_prices() -> None:
    options = experts.options("oracle")

    assert {name: option.default for name, option in options.items()} == {
        "purity_threshold": 0.8,
        "seconds_per_sample": SECONDS_PER_IMAGE,
        "seconds_per_cluster": SECONDS_PER_IMAGE,
        "seconds_per_image_shown": 0.0,
        "seconds_per_refused_cluster": None,
    }
