import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from views import rows, view

from raycal.algorithm.acquisition import QueryContext, Top, acquisitions, most_informative, top
from raycal.algorithm.acquisition.ensemble import ensemble_vote_entropy
from raycal.algorithm.acquisition.query_context import HeadWeights
from raycal.algorithm.acquisition.uncertainty import entropies, entropy, margin


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


@given(st.lists(st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]), min_size=1, max_size=60), st.integers(1, 70))
def test_chance_orders_equal_scores_as_a_shuffled_pool_would(best: list[float], budget: int) -> None:
    probs = [[share, 1 - share] for share in best]

    for name in ("entropy", "margin"):
        given = view(probs=probs, seed=4)
        order = np.random.default_rng(4).permutation(len(best))
        scores = {"entropy": entropy, "margin": margin}[name](given)
        expected = order[np.argsort(-scores[order], kind="stable")][:budget]
        assert acquisitions[name](given, budget).tolist() == given.predictions.indices[expected].tolist()


def test_selection_copies_less_than_the_pool() -> None:
    num_samples = 400_000
    given = view(probs=np.random.default_rng(0).dirichlet(np.ones(4), num_samples).astype(np.float32))

    tracemalloc.start()
    acquisitions["entropy"](given, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # In bytes per sample: 24 while the entropies of a block are computed; later 4 for the score, 8 in the random order
    # and 4 while the scores are partitioned. Copies of all indices and scores in the random order took 30.
    assert peak < 26 * num_samples


SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1, width=32), min_size=1, max_size=80)


@given(SCORES, st.integers(1, 90), st.integers(0, 3), st.data())
def test_top_of_the_tops_of_all_parts_is_the_top_of_the_pool(
    scores: list[float], num_samples: int, seed: int, data: st.DataObject
) -> None:
    values, indices = np.array(scores, np.float32), np.arange(len(scores)) * 3 + 1
    part_of = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(scores), max_size=len(scores))))
    tops = [top(indices[part_of == part], values[part_of == part], num_samples, seed) for part in range(4)]

    merged = top(np.concatenate([a.indices for a in tops]), np.concatenate([a.scores for a in tops]), num_samples, seed)

    whole = top(indices, values, num_samples, seed)
    assert merged.indices.tolist() == whole.indices.tolist()
    assert merged.scores.tolist() == whole.scores.tolist() == sorted(scores, reverse=True)[:num_samples]
    assert values[(whole.indices - 1) // 3].tolist() == whole.scores.tolist()


def test_chance_decides_between_equal_scores_of_a_divided_pool() -> None:
    indices, scores = np.arange(10**5), np.zeros(10**5, np.float32)
    first, other = (top(indices, scores, 2000, seed).indices for seed in (0, 1))

    assert len(set(first.tolist())) == 2000
    assert np.histogram(first, 10, (0, 10**5))[0] == pytest.approx([200] * 10, abs=60)
    assert np.mean(np.diff(first) > 0) == pytest.approx(0.5, abs=0.05)
    # The two seeds have about 40 of their 2,000 samples in common.
    assert len(set(first.tolist()) & set(other.tolist())) == pytest.approx(40, abs=30)


def test_top_of_nothing_is_nothing() -> None:
    found: Top = top(np.empty(0, np.int64), np.empty(0, np.float32), 5, 0)

    assert (found.indices.tolist(), found.scores.tolist()) == ([], [])


def test_head_gives_the_softmax() -> None:
    head = HeadWeights(weights=np.array([[1, 0], [0, 2], [0, 0]], np.float32), bias=np.array([0, 0, 1], np.float32))
    probs = head.probs(np.array([[0, 0], [3, 0.5], [1000, 0]], np.float32))

    odds = np.exp([[0, 0, 1], [3, 1, 1]])
    assert probs[:2] == pytest.approx(odds / odds.sum(axis=1, keepdims=True))
    assert probs[2].tolist() == [1, 0, 0]
    assert probs.dtype == np.float32
    assert entropies(probs)[2] == 0
