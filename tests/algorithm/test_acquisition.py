import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.acquisition import entropy, most_informative
from raycal.algorithm.records import Predictions


def entropies(probs: list[list[float]]) -> npt.NDArray[np.float32]:
    rows = np.array(probs, np.float32)
    predictions = Predictions(
        indices=np.arange(len(rows)), probs=rows, embeddings=np.zeros((len(rows), 2), dtype=np.float32)
    )
    return entropy(predictions, np.random.default_rng(0))


@pytest.mark.parametrize("num_classes", [1, 2, 10])
def test_entropy_of_a_uniform_distribution_is_the_logarithm_of_its_classes(num_classes: int) -> None:
    scores = entropies([[1 / num_classes] * num_classes])

    assert scores[0] == pytest.approx(math.log(num_classes), rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_entropy_of_a_certain_class_is_zero() -> None:
    assert entropies([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).tolist() == [0.0, 0.0]


def test_entropy_is_in_nats_and_does_not_care_which_class_is_likely() -> None:
    scores = entropies([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.5, 0.5, 0.0]])

    assert scores.tolist() == pytest.approx([1.5 * math.log(2), 1.5 * math.log(2), math.log(2)], rel=1e-6)


def test_entropy_keeps_float32() -> None:
    assert entropies([[0.5, 0.5]]).dtype == np.float32


def test_most_informative_come_best_first() -> None:
    picked = most_informative(np.array([3, 10, 11, 40]), np.array([0.2, 0.9, 0.1, 0.5]), 3)

    assert picked.tolist() == [10, 40, 3]
    assert picked.dtype == np.int64


def test_equal_scores_are_taken_by_the_smaller_index() -> None:
    indices = np.array([2, 5, 6, 8, 9])

    assert most_informative(indices, np.array([1.0, 3.0, 1.0, 3.0, 1.0]), 5).tolist() == [5, 8, 2, 6, 9]


@pytest.mark.parametrize(
    ("num_samples", "picked"), [(1, [5]), (2, [5, 8]), (3, [5, 8, 2]), (4, [5, 8, 2, 6]), (5, [5, 8, 2, 6, 9])]
)
def test_ties_at_the_cut_are_taken_by_the_smaller_index(num_samples: int, picked: list[int]) -> None:
    assert most_informative(np.array([2, 5, 6, 8, 9]), np.array([1.0, 3.0, 1.0, 3.0, 1.0]), num_samples).tolist() == (
        picked
    )


@pytest.mark.parametrize("num_samples", [3, 4, 1000])
def test_all_are_taken_when_there_are_no_more(num_samples: int) -> None:
    assert most_informative(np.array([4, 7, 9]), np.array([0.0, 2.0, 1.0]), num_samples).tolist() == [7, 9, 4]


def test_arguments_are_not_written_to() -> None:
    indices, scores = np.array([4, 7, 9]), np.array([0.0, 2.0, 1.0])
    for array in (indices, scores):
        array.flags.writeable = False

    assert most_informative(indices, scores, 2).tolist() == [7, 9]


@given(
    st.lists(st.integers(-3, 3) | st.floats(-10, 10, width=32), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(1, 5),
)
def test_most_informative_equals_a_plain_sort(scores: list[float], num_samples: int, stride: int) -> None:
    indices = np.arange(len(scores)) * stride + 2
    best = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:num_samples]

    picked = most_informative(indices, np.array(scores, np.float32), num_samples)

    assert picked.tolist() == indices[best].tolist()
