import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from views import rows, view

from raycal.algorithm.acquisition import QueryContext, acquisitions, most_informative
from raycal.algorithm.acquisition.ensemble import ensemble_vote_entropy
from raycal.algorithm.acquisition.uncertainty import margin


def test_score_functions_are_known_by_name_and_stay_score_functions() -> None:
    given = view(probs=[[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]])

    assert rows(acquisitions["margin"](given, 2)) == [1, 2]
    assert margin(given).shape == (3,)


def test_options_are_those_of_the_score_function() -> None:
    assert acquisitions.options("margin") == {}
    options = acquisitions.options("bald")
    assert {name: option.default for name, option in options.items()} == {"passes": 20, "dropout": 0.5}


def disagreeing(num_samples: int, seed: int) -> QueryContext:
    """All members disagree on the second half of the samples and agree on the first."""
    first, second = np.tile([0.9, 0.1], (num_samples, 1)), np.tile([0.9, 0.1], (num_samples, 1))
    second[num_samples // 2 :] = [0.1, 0.9]
    return view(probs=first, members=[first, second], seed=seed)


def test_chance_decides_between_equal_votes() -> None:
    picked = [acquisitions["ensemble_vote_entropy"](disagreeing(40, seed), 6, members=2) for seed in (0, 0, 1)]

    assert all(len(set(rows(each))) == 6 and min(rows(each)) >= 20 for each in picked)
    assert rows(picked[0]) == rows(picked[1])
    assert set(rows(picked[0])) != set(rows(picked[2]))
    assert rows(picked[0]) != sorted(rows(picked[0]))


def test_votes_are_not_overruled_by_chance() -> None:
    picked = rows(acquisitions["ensemble_variation_ratio"](disagreeing(40, 3), 30, members=2))

    assert set(picked[:20]) == set(range(20, 40))
    assert ensemble_vote_entropy(disagreeing(4, 0), members=2).tolist() == pytest.approx([0, 0, np.log(2), np.log(2)])


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
