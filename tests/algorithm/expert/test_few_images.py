from collections import Counter
from typing import Any

import numpy as np
import pytest

from raycal.algorithm.expert import Cluster, ClusterAnswer, experts
from raycal.algorithm.records import Floats

PURE = {"name": "oracle", "purity_threshold": 1.0}
ON_A_LINE = np.array([0, 1, 2, 3, 10])  # The mean of these positions is 3.2.


def said(labels: list[int], *, seed: int = 0, at: np.ndarray | None = ON_A_LINE, **options: Any) -> ClusterAnswer:
    """The answer to the cluster of all samples but the first, at the positions `at` on a line.

    With `at` None, the expert must not use the embeddings.
    """

    def embeddings() -> Floats:
        assert at is not None
        return at[:, None].astype(np.float32)

    cluster = Cluster(indices=np.arange(1, len(labels) + 1), embeddings=embeddings)
    return experts["few_images"](np.array([0, *labels]), **options).label_cluster(cluster, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("show", "count", "rows"),
    [
        ("medoids", 1, [3]),
        ("medoids", 2, [2, 3]),
        ("medoids", 3, [1, 2, 3]),
        ("rim", 1, [4]),
        ("rim", 3, [0, 1, 4]),
        ("coverage", 1, [3]),
        ("coverage", 2, [3, 4]),
        ("coverage", 3, [0, 3, 4]),
        ("coverage", 4, [0, 1, 3, 4]),
    ],
)
def test_just_these_images_are_shown(show: str, count: int, rows: list[int]) -> None:
    labels = [1 if row in rows else 0 for row in range(5)]
    answer = said(labels, show=show, images_shown=count, of=PURE)

    assert (answer.label, answer.num_wrong) == (1, 5 - count)
    assert answer.purity == max(count, 5 - count) / 5
    for row in rows:
        labels[row] = 2
        assert said(labels, show=show, images_shown=count, of=PURE).label == (2 if count == 1 else None)
        labels[row] = 1


def test_each_image_is_drawn_as_often_as_another() -> None:
    shown = Counter(
        said([0, 1, 2, 3, 4], at=None, show="random", images_shown=1, seed=seed).label for seed in range(2000)
    )

    assert set(shown) == {0, 1, 2, 3, 4}
    assert all(abs(count - 400) < 80 for count in shown.values())


def test_smaller_cluster_is_shown_whole_without_a_look_at_its_embeddings() -> None:
    answer = said([3, 3, 3, 3, 0], at=None, images_shown=5)

    assert (answer.label, answer.purity, answer.num_wrong) == (3, 0.8, 1)


def test_pure_looking_part_of_an_impure_cluster_labels_all_of_it() -> None:
    answer = said([5, 6, 1, 1, 7], images_shown=2)

    assert (answer.label, answer.purity, answer.num_wrong) == (1, 0.4, 3)


def test_mixed_looking_part_of_a_pure_cluster_refuses_all_of_it() -> None:
    answer = said([1, 1, 1, 1, 0], show="rim", images_shown=2)

    assert (answer.label, answer.purity, answer.num_wrong) == (None, 0.8, None)


def test_only_the_images_shown_are_paid_for() -> None:
    prices = {"name": "oracle", "seconds_per_cluster": 1.0, "seconds_per_image_shown": 0.5}

    assert said([1, 1, 1, 1, 1], images_shown=3, of=prices).seconds == 1 + 3 * 0.5
    assert said([1, 1, 1, 1, 1], images_shown=99, of=prices).seconds == 1 + 5 * 0.5


def test_equal_embeddings_are_shown_by_their_index() -> None:
    for show in ("medoids", "rim", "coverage"):
        answer = said([1, 1, 0, 0, 0], at=np.ones(5), show=show, images_shown=2, of=PURE)
        assert (answer.label, answer.num_wrong) == (1, 3)


def test_samples_are_answered_as_without() -> None:
    labels = np.arange(40) % 4
    answers = experts["few_images"](labels).label_samples(np.array([5, 3]), np.random.default_rng(0))

    assert answers.labels.tolist() == [1, 3]
    assert answers.seconds.tolist() == [4.2, 4.2]
