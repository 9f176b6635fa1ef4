import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from views import view

from raycal.algorithm.acquisition import QueryContext, acquisitions, distances
from raycal.algorithm.acquisition.dropout import bald, dropout_entropy, dropout_variation_ratio

MANY = 20_000


def one_dimension_a_class(seed: int = 0) -> QueryContext:
    """A view of three samples: all active dimensions favor class 0; one favors each class; no dimension is active."""
    return view(
        probs=[[0.5, 0.5]] * 3, embeddings=[[10, 10, 0, 0], [10, 0, 10, 0], [0, 0, 0, 0]], weights=HEAD, seed=seed
    )


HEAD = [[1, 1, 0, 0], [0, 0, 1, 1]]


def expected(dropout: float) -> dict[str, list[float]]:
    """The exact scores, from a weighted mean over all masks of the four dimensions."""
    weights, passes = [], []
    embeddings, head = np.array([[10, 10, 0, 0], [10, 0, 10, 0], [0, 0, 0, 0]]), np.array(HEAD)
    for mask in product((0, 1), repeat=4):
        weights.append(math.prod(1 - dropout if kept else dropout for kept in mask))
        odds = np.exp(embeddings * mask / (1 - dropout) @ head.T)
        passes.append(odds / odds.sum(axis=1, keepdims=True))
    probs = np.array(passes)
    mean = np.average(probs, axis=0, weights=weights)
    each = -(probs * np.log(probs)).sum(axis=2)
    entropy = -(mean * np.log(mean)).sum(axis=1)
    votes = np.average(probs.argmax(axis=2), axis=0, weights=weights)
    return {
        "bald": (entropy - np.average(each, axis=0, weights=weights)).tolist(),
        "entropy": entropy.tolist(),
        "ratio": np.minimum(votes, 1 - votes).tolist(),
    }


@pytest.mark.parametrize("dropout", [0.5, 0.2])
def test_many_passes_come_near_the_mean_over_all_masks(dropout: float) -> None:
    found, options = expected(dropout), {"passes": MANY, "dropout": dropout}

    assert bald(one_dimension_a_class(), **options).tolist() == pytest.approx(found["bald"], abs=0.01)
    assert dropout_entropy(one_dimension_a_class(), **options).tolist() == pytest.approx(found["entropy"], abs=0.01)
    ratios = dropout_variation_ratio(one_dimension_a_class(), **options).tolist()
    assert ratios == pytest.approx(found["ratio"], abs=0.01)


def test_bald_is_that_of_passes_that_disagree_and_not_that_of_passes_that_do_not_know() -> None:
    agreed, disputed, unknown = bald(one_dimension_a_class(), passes=MANY)

    assert disputed > agreed > unknown == pytest.approx(0, abs=1e-6)


def test_one_pass_disagrees_with_nobody() -> None:
    assert bald(one_dimension_a_class(), passes=1).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert dropout_variation_ratio(one_dimension_a_class(), passes=1).tolist() == [0, 0, 0]


def test_bias_of_the_head_counts() -> None:
    given = view(probs=[[0.5, 0.5]], weights=[[0, 0], [0, 0]])
    head = given.head()
    biased = view(probs=[[0.5, 0.5]], weights=[[0, 0], [0, 0]])
    object.__setattr__(biased, "head", lambda: type(head)(weights=head.weights, bias=np.array([0, 2], np.float32)))

    certain = 1 / (1 + math.exp(-2))
    assert dropout_entropy(biased)[0] == pytest.approx(
        -certain * math.log(certain) - (1 - certain) * math.log(1 - certain), rel=1e-5
    )


@pytest.mark.parametrize("score", [bald, dropout_entropy, dropout_variation_ratio])
def test_a_sample_s_score_does_not_depend_on_the_blocks_it_is_computed_in(
    score: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(score)
    rng = np.random.default_rng(1)
    given = partial(view, embeddings=rng.normal(size=(50, 6)), weights=rng.normal(size=(3, 6)))
    whole = score(given(), passes=4)
    monkeypatch.setattr(distances, "BLOCK_FLOATS", 7 * 4 * 3)

    np.testing.assert_allclose(score(given(), passes=4), whole, rtol=1e-4, atol=1e-6)


def test_ties_between_votes_are_drawn() -> None:
    alike = partial(view, embeddings=np.ones((40, 4)), weights=HEAD)
    picked = [acquisitions["dropout_variation_ratio"](alike(seed=seed), 5).tolist() for seed in (0, 0, 1)]

    assert picked[0] == picked[1] != picked[2]
