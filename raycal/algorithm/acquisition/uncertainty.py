"""Uncertainty of the query model about each sample, computed from the sample's class probabilities alone."""

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition.distances import blocks
from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import by_score
from raycal.algorithm.records import Floats

# If the probabilities of all classes but the most probable one sum to less than this, float32 is too coarse for the
# highest probability.
SURE = 0.01


@by_score("entropy")
def entropy(view: QueryContext) -> Floats:
    """Entropy of the predicted class distribution in nats (Shannon 1948); the paper's choice."""
    return entropies(view.predictions.probs)


def _not_the_likeliest(view: QueryContext) -> npt.NDArray[np.float64]:
    """The sum (U,) of all class probabilities but the highest one, at most `SURE`.

    In float32 a probability close to one is rounded to 1, while the small probabilities of the other classes keep all
    their digits. So only their sum can tell which of several such samples the model is less certain about. A sum above
    `SURE` is no more exact than the highest probability. Such a sum is replaced by `SURE`, so that equal scores stay
    equal and rounding errors do not order them.
    """
    probs = view.predictions.probs
    scores = np.empty(len(probs), np.float64)
    for rows in blocks(*probs.shape):
        part = probs[rows].astype(np.float64)
        part[np.arange(len(part)), part.argmax(axis=1)] = 0
        scores[rows] = np.minimum(part.sum(axis=1), SURE)
    return scores


def _not_the_margin(view: QueryContext) -> npt.NDArray[np.float64]:
    """One minus the margin (U,), computed from the small probabilities; constant for samples about which the model is
    uncertain."""
    probs = view.predictions.probs
    if probs.shape[1] == 1:
        return np.zeros(len(probs))
    second = np.partition(probs, probs.shape[1] - 2, axis=1)[:, -2]
    return _not_the_likeliest(view) + np.minimum(second, SURE)


@by_score("margin", finer=_not_the_margin)
def margin(view: QueryContext) -> Floats:
    """Minus the difference of the two highest class probabilities (Scheffer, Decomain, Wrobel 2001), in [-1, 0]."""
    probs = view.predictions.probs
    if probs.shape[1] == 1:
        return -probs[:, 0]
    best = np.partition(probs, probs.shape[1] - 2, axis=1)
    scores: Floats = best[:, -2] - best[:, -1]
    return scores


@by_score("least_confidence", finer=_not_the_likeliest)
def least_confidence(view: QueryContext) -> Floats:
    """One minus the highest class probability (Lewis, Gale 1994; Culotta, McCallum 2005), in [0, 1 - 1/K]."""
    scores: Floats = 1 - view.predictions.probs.max(axis=1)
    return scores


def entropies(probs: Floats) -> Floats:
    """Entropy in nats (n,) float32 of distributions (n, K); 0 log 0 = 0."""
    scores = np.empty(len(probs), np.float32)
    # The loop goes block by block, because all logarithms at once would take as much memory as the probabilities.
    for rows in blocks(*probs.shape):
        part = probs[rows]
        logs = np.log(part, out=np.zeros_like(part), where=part > 0)
        np.einsum("uk,uk->u", part, logs, out=scores[rows])
    return -scores
