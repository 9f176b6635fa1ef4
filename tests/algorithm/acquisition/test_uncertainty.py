import math

import numpy as np
import pytest
from views import rows, view

from raycal.algorithm.acquisition import acquisitions, distances
from raycal.algorithm.acquisition.uncertainty import entropies, entropy, least_confidence, margin


@pytest.mark.parametrize("num_classes", [1, 2, 10])
def test_entropy_of_a_uniform_distribution_is_the_logarithm_of_its_classes(num_classes: int) -> None:
    scores = entropy(view(probs=[[1 / num_classes] * num_classes]))

    assert scores[0] == pytest.approx(math.log(num_classes), rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_entropy_of_a_certain_class_is_zero() -> None:
    assert entropy(view(probs=[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).tolist() == [0.0, 0.0]


def test_entropy_is_in_nats_and_does_not_care_which_class_is_likely() -> None:
    scores = entropy(view(probs=[[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.5, 0.5, 0.0]]))

    assert scores.tolist() == pytest.approx([1.5 * math.log(2), 1.5 * math.log(2), math.log(2)], rel=1e-6)


def test_entropies_are_those_of_all_samples_at_once_however_many_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 8).astype(np.float32)
    at_once = entropies(probs).tolist()

    monkeypatch.setattr(distances, "BLOCK_FLOATS", 3 * 3)

    assert entropies(probs).tolist() == at_once
    assert at_once == pytest.approx((-(probs * np.log(probs)).sum(axis=1)).tolist(), rel=1e-5)
    assert entropies(probs[:0]).shape == (0,)


# Entropy ranks the first sample highest, least confidence the second, and margin the third.
DIFFERENT = [[0.5, 0.2, 0.15, 0.15], [0.45, 0.35, 0.2, 0.0], [0.48, 0.47, 0.05, 0.0]]


def test_margin_is_between_the_two_likeliest_classes_wherever_they_stand() -> None:
    assert margin(view(probs=DIFFERENT)).tolist() == pytest.approx([-0.3, -0.1, -0.01], abs=1e-6)
    assert margin(view(probs=[[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])).tolist() == pytest.approx([-0.2, -1.0], abs=1e-6)


def test_margin_of_one_class_is_that_to_none() -> None:
    assert margin(view(probs=[[1.0], [1.0]])).tolist() == [-1.0, -1.0]


def test_least_confidence_is_what_the_likeliest_class_leaves() -> None:
    assert least_confidence(view(probs=DIFFERENT)).tolist() == pytest.approx([0.5, 0.55, 0.52], abs=1e-6)


def test_each_asks_for_another_sample_first() -> None:
    first = {name: rows(acquisitions[name](view(probs=DIFFERENT), 1)) for name in ("entropy", "margin")}

    assert first == {"entropy": [0], "margin": [2]}
    assert rows(acquisitions["least_confidence"](view(probs=DIFFERENT), 3)) == [1, 2, 0]


@pytest.mark.parametrize("score", [entropy, margin, least_confidence])
def test_scores_keep_float32(score: object) -> None:
    assert callable(score)
    assert score(view(probs=[[0.5, 0.5]])).dtype == np.float32


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax in float32, as the network computes it."""
    odds = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float32))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize("name", ["margin", "least_confidence"])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_sure_samples_are_asked_for_by_how_sure_they_are(name: str, num_classes: int) -> None:
    # The logits of the most probable class, whose probability is rounded to 1 in float32.
    gaps = np.random.default_rng(0).permutation(np.linspace(22, 80, 60))
    logits = np.zeros((60, num_classes))
    logits[np.arange(60), np.arange(60) % num_classes] = gaps
    given = view(probs=softmax(logits))

    assert (given.predictions.probs.max(axis=1) == 1).all()
    assert rows(acquisitions[name](given, 60)) == np.argsort(gaps).tolist()
    assert rows(acquisitions[name](given, 7)) == np.argsort(gaps)[:7].tolist()


def test_margin_of_sure_samples_is_told_by_the_second_class_too() -> None:
    # In the first two samples, the other classes have the same total probability; in the second sample, a single class
    # has this whole probability.
    given = view(probs=[[1.0, 1e-10, 1e-10], [1.0, 2e-10, 0.0], [1.0, 1e-12, 0.0]])

    assert rows(acquisitions["margin"](given, 3)) == [1, 0, 2]


@pytest.mark.parametrize("name", ["entropy", "margin", "least_confidence"])
@pytest.mark.parametrize("num_classes", [1, 4])
def test_chance_decides_between_equal_scores_and_not_the_order_of_the_classes(name: str, num_classes: int) -> None:
    # There are 40 images, which are sorted by class; the model is certain about all of them.
    probs = np.eye(num_classes)[np.repeat(np.arange(num_classes), 40 // num_classes)]
    picked = [rows(acquisitions[name](view(probs=probs, seed=seed), 8)) for seed in (0, 0, 1)]

    assert picked[0] == picked[1] != picked[2]
    assert picked[0] != sorted(picked[0])
    assert max(picked[0]) >= 20


@pytest.mark.parametrize("name", ["entropy", "margin", "least_confidence"])
def test_different_scores_are_asked_for_by_the_score_alone(name: str) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(5), 200).astype(np.float32)
    score = {"entropy": entropy, "margin": margin, "least_confidence": least_confidence}[name]
    scores = score(view(probs=probs))
    assert len(np.unique(scores)) > 190
    unique = np.unique(scores, return_index=True)[1]

    for seed in (0, 1):
        assert rows(acquisitions[name](view(probs=probs[unique], seed=seed), 50)) == list(range(len(unique)))[::-1][:50]


def test_sure_samples_are_told_apart_however_many_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    probs = [[1.0, 10.0**-power] for power in (12, 9, 10, 14, 8, 11)]
    monkeypatch.setattr(distances, "BLOCK_FLOATS", 4)

    assert rows(acquisitions["margin"](view(probs=probs), 6)) == [4, 1, 2, 5, 0, 3]
    assert rows(acquisitions["least_confidence"](view(probs=probs), 6)) == [4, 1, 2, 5, 0, 3]


def test_chance_decides_between_unsure_samples_with_the_same_margin() -> None:
    # The two most probable classes have equal probabilities, which differ between the 40 samples.
    heights = np.linspace(0.34, 0.49, 40, dtype=np.float32)
    probs = np.stack([heights, heights, 1 - 2 * heights], axis=1)
    assert (margin(view(probs=probs)) == 0).all()

    picked = [rows(acquisitions["margin"](view(probs=probs, seed=seed), 8)) for seed in (0, 0, 1)]

    assert picked[0] == picked[1] != picked[2]
