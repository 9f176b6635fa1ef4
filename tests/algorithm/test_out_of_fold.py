from functools import partial

import numpy as np
import pytest
from small_world import NearestMeans

from raycal.algorithm.out_of_fold import NUM_FOLDS, calibrated, folds_of, predict_out_of_fold
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet

# Three groups of twenty points, of which every other one is labeled.
LABELS = np.repeat(np.arange(3), 20)
POINTS = np.array([[0, 0], [6, 0], [0, 6]], np.float32)[LABELS] + np.random.default_rng(0).normal(size=(60, 2))
INDICES = np.arange(0, 60, 2)


def samples(*wrong: int) -> TrainingSet:
    """The labeled samples, some of them with the label of the next class."""
    labels = LABELS[INDICES].copy()
    labels[np.isin(INDICES, wrong)] = (labels[np.isin(INDICES, wrong)] + 1) % 3
    return TrainingSet(indices=INDICES, labels=labels)


def test_each_sample_is_predicted_by_a_model_that_has_not_seen_it() -> None:
    learner = NearestMeans(POINTS, LABELS)
    predict_out_of_fold(learner, samples(), partial(stream, 1, 4))
    assert len(learner.trained_on) == len(learner.asked) == NUM_FOLDS
    for trained, asked in zip(learner.trained_on, learner.asked, strict=True):
        assert np.array_equal(np.sort(np.concatenate([trained.indices, asked])), INDICES)
        assert (trained.labels == LABELS[trained.indices]).all()
        assert np.bincount(LABELS[asked]).tolist() == [2, 2, 2]


def test_learner_has_its_weights_again() -> None:
    learner = NearestMeans(POINTS, LABELS)
    learner.fit(samples(), np.random.default_rng(0))
    before = learner.save()
    predict_out_of_fold(learner, samples(), partial(stream, 1, 4))
    assert learner.save() == before


def test_wrong_labels_are_improbable() -> None:
    wrong = (4, 26, 58)
    probs = predict_out_of_fold(NearestMeans(POINTS, LABELS), samples(*wrong), partial(stream, 1, 4))
    assert probs.shape == (30, 3)
    assert probs.sum(axis=1) == pytest.approx(np.ones(30))
    of_label = probs[np.arange(30), samples(*wrong).labels]
    assert set(INDICES[np.argsort(of_label)[:3]].tolist()) == set(wrong)
    again = predict_out_of_fold(NearestMeans(POINTS, LABELS), samples(*wrong), partial(stream, 1, 4))
    assert (again == probs).all()


@pytest.mark.parametrize("sizes", [(20, 20), (3, 1, 6), (5,)])
def test_folds_have_the_same_size_and_spread_each_class(sizes: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    folds = folds_of(labels, np.random.default_rng(1))
    whole = np.bincount(folds, minlength=NUM_FOLDS)
    assert whole.max() - whole.min() <= 1
    for label in range(len(sizes)):
        of_class = np.bincount(folds[labels == label], minlength=NUM_FOLDS)
        assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_calibration_takes_back_a_temperature(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(20_000, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    sure = right**temperature
    sure = (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32)
    found = calibrated(sure, labels)
    assert found == pytest.approx(right, abs=0.02)
    assert (found.argmax(axis=1) == right.argmax(axis=1)).all()


def test_calibration_of_impossible_labels_is_finite() -> None:
    probs = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert np.isfinite(calibrated(probs, np.array([1, 0, 1]))).all()
    assert np.isfinite(calibrated(probs, np.array([0, 0, 1]))).all()
