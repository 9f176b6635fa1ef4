from collections.abc import Callable

import numpy as np
import pytest

from raycal.algorithm.expert import Cluster, ClusterAnswer, Expert, experts
from raycal.algorithm.records import Floats
from raycal.errors import InputError

MANY = np.repeat(np.arange(4), 5_000)


def not_looked_at() -> Floats:
    raise AssertionError("noise needs no embeddings")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def said_of_many(expert: Expert) -> np.ndarray:
    """The share (4, 4) of samples of each true class (rows) that gets each label (columns)."""
    labels = expert.label_samples(np.arange(len(MANY)), rng()).labels
    return np.stack([np.bincount(labels[own == MANY], minlength=4) for own in range(4)]) / 5_000


def said_of_cluster(expert: Expert, indices: list[int], seed: int = 0) -> ClusterAnswer:
    return expert.label_cluster(Cluster(indices=np.array(indices), embeddings=not_looked_at), rng(seed))


def test_symmetric_noise_gives_every_other_class_the_same_chance() -> None:
    expected = np.full((4, 4), 0.1)
    np.fill_diagonal(expected, 0.7)

    assert said_of_many(experts["symmetric_noise"](MANY, rate=0.3)) == pytest.approx(expected, abs=0.02)
    assert (said_of_many(experts["symmetric_noise"](MANY, rate=0)) == np.eye(4)).all()
    assert not np.diag(said_of_many(experts["symmetric_noise"](MANY, rate=1))).any()


def test_pair_noise_gives_the_next_class_or_the_partner() -> None:
    of_next = said_of_many(experts["pair_noise"](MANY, rate=0.4))
    given = said_of_many(experts["pair_noise"](MANY, rate=0.4, partners=[3, 1, 1, 2]))

    assert of_next == pytest.approx(0.6 * np.eye(4) + 0.4 * np.roll(np.eye(4), 1, axis=1), abs=0.02)
    assert given == pytest.approx(0.6 * np.eye(4) + 0.4 * np.eye(4)[[3, 1, 1, 2]], abs=0.02)
    assert given[1, 1] == 1  # A class that is its own partner is never mistaken.
    assert set(np.flatnonzero(of_next)) == {0, 1, 5, 6, 10, 11, 12, 15}


def test_confusion_noise_follows_its_matrix() -> None:
    matrix = [[0.5, 0.5, 0, 0], [0, 0.9, 0.05, 0.05], [0.25, 0.25, 0.25, 0.25], [0, 0, 1, 0]]
    said = said_of_many(experts["confusion_noise"](MANY, matrix=matrix))

    assert said == pytest.approx(np.array(matrix), abs=0.02)
    assert (said[np.array(matrix) == 0] == 0).all()


def test_noise_does_not_depend_on_the_generator_s_use_before_but_on_its_seed() -> None:
    expert = experts["symmetric_noise"](MANY, rate=0.5)
    first, again, other = (expert.label_samples(np.arange(100), rng(seed)).labels.tolist() for seed in (1, 1, 2))

    assert first == again != other


def test_cluster_is_judged_by_what_is_perceived() -> None:
    ones_as_zeros = experts["confusion_noise"](np.array([0, 0, 1, 1, 1]), matrix=[[1, 0], [1, 0]])

    mixed, pure = said_of_cluster(ones_as_zeros, [0, 1, 2, 3]), said_of_cluster(ones_as_zeros, [2, 3, 4])
    assert (mixed.label, mixed.purity, mixed.num_wrong) == (0, 0.5, 2)
    assert (pure.label, pure.purity, pure.num_wrong) == (0, 1.0, 3)


def test_pure_cluster_is_refused_when_it_looks_mixed() -> None:
    guessing = experts["confusion_noise"](np.zeros(1000, np.int64), matrix=[[1.0]])
    misled = experts["symmetric_noise"](np.arange(1000) % 2, rate=0.5)

    assert said_of_cluster(guessing, list(range(1000))).label == 0
    refused = said_of_cluster(misled, list(range(0, 1000, 2)))
    assert (refused.label, refused.purity, refused.num_wrong) == (None, 1.0, None)


def test_sample_is_taken_for_the_same_class_alone_and_in_a_cluster() -> None:
    expert = experts["symmetric_noise"](MANY, rate=0.5)
    alone = expert.label_samples(np.arange(50), rng()).labels.tolist()

    assert alone == [said_of_cluster(expert, [index]).label for index in range(50)]
    assert len(set(alone)) > 1


def test_threshold_and_prices_are_those_of_the_expert_that_is_misled() -> None:
    of = {"name": "oracle", "purity_threshold": 0.5, "seconds_per_sample": 2.0, "seconds_per_image_shown": 0.25}
    expert = experts["symmetric_noise"](np.array([0, 0, 1, 2]), rate=0, of=of)

    assert said_of_cluster(expert, [0, 1, 2, 3]) == ClusterAnswer(label=0, purity=0.5, num_wrong=2, seconds=5.2)
    assert expert.label_samples(np.array([1]), rng()).seconds.tolist() == [2.0]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: experts["confusion_noise"](MANY, matrix=[[1, 0], [0, 1]]),
            "expert confusion_noise: matrix: should be 4 rows of 4, one for each class, not 2 of 2",
        ),
        (
            lambda: experts["confusion_noise"](MANY[:6_000], matrix=[[1, 0], [1]]),
            "expert confusion_noise: matrix: should be 2 rows of 2, one for each class, not 2 of 1 or 2",
        ),
        (
            lambda: experts["confusion_noise"](MANY[:6_000], matrix=[[1, 0], [0.5, 0.4]]),
            "expert confusion_noise: matrix: row 1 should sum to 1, not to 0.9",
        ),
        (
            lambda: experts["pair_noise"](MANY, partners=[1, 0]),
            "expert pair_noise: partners: should be 4 of the classes 0 to 3, not [1, 0]",
        ),
        (
            lambda: experts["pair_noise"](MANY, partners=[1, 0, 3, 4]),
            "expert pair_noise: partners: should be 4 of the classes 0 to 3, not [1, 0, 3, 4]",
        ),
    ],
)
def test_options_that_do_not_fit_the_classes_are_refused(make: Callable[[], Expert], line: str) -> None:
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == line
