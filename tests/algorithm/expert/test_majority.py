import numpy as np
import pytest

from raycal.algorithm.expert import Cluster, ClusterAnswer, experts
from raycal.algorithm.records import Floats

MANY = np.arange(20_000) % 2
HALF = {"name": "symmetric_noise", "rate": 0.5}


def not_looked_at() -> Floats:
    raise AssertionError("a vote needs no embeddings")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def said_of_one(index: int, num_experts: int, *, of: dict[str, object] = HALF) -> ClusterAnswer:
    """The answer to a cluster of one sample."""
    expert = experts["majority"](MANY, experts=num_experts, of=of)
    return expert.label_cluster(Cluster(indices=np.array([index]), embeddings=not_looked_at), rng())


def test_three_independent_experts_err_as_the_binomial_says() -> None:
    rate = 0.2
    one, three = (
        experts["majority"](MANY, experts=count, of={"name": "symmetric_noise", "rate": rate}).label_samples(
            np.arange(len(MANY)), rng()
        )
        for count in (1, 3)
    )

    assert np.mean(one.labels != MANY) == pytest.approx(rate, abs=0.01)
    assert np.mean(three.labels != MANY) == pytest.approx(3 * rate**2 - 2 * rate**3, abs=0.01)
    assert three.wrong is not None
    assert np.array_equal(three.wrong, three.labels != MANY)


def test_sample_with_as_many_votes_for_each_class_gets_the_smallest() -> None:
    labels = experts["majority"](MANY, experts=2, of=HALF).label_samples(np.arange(len(MANY)), rng()).labels

    # Both experts vote for class 1 in a quarter of the cases, whatever the true class.
    assert labels[MANY == 0].mean() == pytest.approx(0.25, abs=0.02)
    assert labels[MANY == 1].mean() == pytest.approx(0.25, abs=0.02)


def test_cluster_without_a_majority_is_refused() -> None:
    answers = [said_of_one(index, 2) for index in range(400)]
    counts = {label: sum(answer.label == label for answer in answers) for label in (None, 0, 1)}

    assert counts[None] == pytest.approx(200, abs=40)
    assert counts[0] == pytest.approx(100, abs=40)
    assert counts[1] == pytest.approx(100, abs=40)
    assert all((answer.num_wrong is None) == (answer.label is None) for answer in answers)


def test_three_of_two_classes_always_agree_enough() -> None:
    assert all(said_of_one(index, 3).label in (0, 1) for index in range(50))


def test_refusals_count_as_votes() -> None:
    impure = Cluster(indices=np.array([0, 1]), embeddings=not_looked_at)
    answer = experts["majority"](MANY).label_cluster(impure, rng())

    assert answer == ClusterAnswer(label=None, purity=0.5, num_wrong=None, seconds=pytest.approx(3 * 4.2))


def test_all_experts_are_paid() -> None:
    prices = {"name": "oracle", "seconds_per_sample": 2.0, "seconds_per_cluster": 3.0}
    answers = experts["majority"](MANY, experts=5, of=prices).label_samples(np.array([0, 1]), rng())

    assert answers.seconds.tolist() == [10.0, 10.0]
    assert said_of_one(7, 5, of=prices).seconds == 15.0


def test_experts_who_are_shown_a_few_draw_their_own() -> None:
    # Every image has another class, so an expert that is shown one image answers with the class of that image.
    labels = np.arange(100)
    of = {"name": "few_images", "images_shown": 1, "show": "random"}
    alike = experts["few_images"](labels, images_shown=1, show="random", of={"name": "majority"})
    cluster = Cluster(indices=np.arange(100), embeddings=not_looked_at)

    assert experts["majority"](labels, of=of).label_cluster(cluster, rng()).label is None
    assert alike.label_cluster(cluster, rng()).label is not None


def test_sample_gets_the_same_label_alone_and_in_a_cluster() -> None:
    of = {"name": "majority", "experts": 3, "of": HALF}
    expert = experts["few_images"](MANY, images_shown=1, of=of)
    alone = expert.label_samples(np.arange(50), rng()).labels.tolist()
    clusters = [Cluster(indices=np.array([index]), embeddings=not_looked_at) for index in range(50)]

    assert alone == [expert.label_cluster(cluster, rng()).label for cluster in clusters]
    assert set(alone) == {0, 1}
