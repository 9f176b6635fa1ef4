"""Predicts labeled samples with models that have not seen their labels, by cross-validation.

A model repeats many of the labels that it was trained on, even wrong ones. So whether a label is plausible can only be
seen from a model that was trained without it.
"""

from collections.abc import Callable

import numpy as np

from raycal.algorithm.learner import Learner
from raycal.algorithm.records import Floats, Indices, Labels, TrainingSet

NUM_FOLDS = 5
# The smallest probability whose logarithm is taken.
LEAST = 1e-12
# Temperatures from 1 / 150 to 150 are tried.
MOST_LOG_TEMPERATURE = 5.0


def folds_of(labels: Labels, rng: np.random.Generator) -> Indices:
    """The fold of each sample, from 0 to `NUM_FOLDS` - 1. The samples of each class are spread evenly."""
    order = np.lexsort((rng.random(len(labels)), labels))
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % NUM_FOLDS
    return folds


def predict_out_of_fold(learner: Learner, samples: TrainingSet, stream: Callable[[str], np.random.Generator]) -> Floats:
    """The class probabilities (M, K) of M labeled samples, each from a model that was trained on the other folds.

    The learner has its weights again afterwards.

    Args:
        samples: The samples and their labels, at least `NUM_FOLDS` of them.
        stream: Makes the random stream for a purpose in this iteration.

    Raises:
        DivergedError: A training without one of the folds diverged.
    """
    folds = folds_of(samples.labels, stream("folds"))
    trained, parts = learner.save(), list[Floats]()
    try:
        for fold in range(NUM_FOLDS):
            others = folds != fold
            learner.reset(stream("head"))
            learner.fit(
                TrainingSet(indices=samples.indices[others], labels=samples.labels[others]),
                stream(f"train without fold {fold}"),
            )
            parts.append(learner.predict(samples.indices[~others]).probs)
    finally:
        learner.load(trained)
    probs = np.empty((len(folds), parts[0].shape[1]), np.float32)
    for fold, part in enumerate(parts):
        probs[folds == fold] = part
    return calibrated(probs, samples.labels)


def calibrated(probs: Floats, labels: Labels) -> Floats:
    """Probabilities (M, K) that are on average as sure as they are right, by temperature scaling (Guo, Pleiss, Sun and
    Weinberger, On calibration of modern neural networks, ICML 2017).

    A network that was trained on few samples is far too sure. One temperature for all samples corrects this. It does
    not change which class is the most likely one.

    Args:
        probs: (M, K) Probabilities of samples that the model was not trained on.
        labels: (M,) The labels of these samples.
    """
    from scipy.optimize import minimize_scalar  # takes long to import, and only people's projects need it

    logs = np.log(np.maximum(probs.astype(np.float64), LEAST))
    logs -= logs.max(axis=1, keepdims=True)

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]).mean())

    best = minimize_scalar(loss, bounds=(-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE), method="bounded")
    powers = np.exp(logs / np.exp(float(best.x)))
    scaled: Floats = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled
