import numpy as np
import pytest

from raycal.algorithm.expert import Cluster, experts

TRUE_LABELS = np.array([2, 0, 1, 1, 0, 1, 2, 0])


def cluster(*indices: int) -> Cluster:
    return Cluster(indices=np.array(indices, np.int64), embeddings=lambda: np.array(indices, np.float32)[:, None])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("indices", "label", "part", "purity"),
    [((0, 1, 2, 3), 1, [2, 3], 0.5), ((1, 2), 0, [1], 0.5), ((2, 3, 5), 1, [2, 3, 5], 1.0), ((6,), 2, [6], 1.0)],
)
def test_images_of_the_modal_class_get_its_label(
    indices: tuple[int, ...], label: int, part: list[int], purity: float
) -> None:
    answer = experts["perfect_purity"](TRUE_LABELS).label_cluster(cluster(*indices), rng())

    assert (answer.label, answer.purity, answer.num_wrong, answer.seconds) == (label, purity, 0, 4.2)
    assert answer.labeled(cluster(*indices)).tolist() == part


def test_price_is_that_of_the_images_shown() -> None:
    of = {"name": "oracle", "seconds_per_cluster": 1.0, "seconds_per_image_shown": 0.5}
    answer = experts["perfect_purity"](TRUE_LABELS, of=of).label_cluster(cluster(0, 1, 2, 3), rng())

    assert answer.seconds == 2.0


def test_other_experts_are_shown_the_modal_class_only() -> None:
    expert = experts["perfect_purity"](TRUE_LABELS, of={"name": "pair_noise", "rate": 1.0})
    answer = expert.label_cluster(cluster(0, 1, 2, 3), rng())

    assert (answer.label, answer.num_wrong, answer.purity) == (2, 2, 0.5)
    assert expert.label_samples(np.array([1, 0]), rng()).labels.tolist() == [1, 0]
