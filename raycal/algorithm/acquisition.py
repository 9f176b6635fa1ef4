"""Acquisition functions: how informative the expert's answer on each unlabelled sample would be.

`@acquisitions("name")` on a function `(predictions, rng, *, options) -> scores (U,)`, higher = ask first.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Predictions
from raycal.registry import Registry


class Acquisition(Protocol):
    """Scores (U,) float32 for the predictions; higher = ask first."""

    def __call__(self, predictions: Predictions, rng: np.random.Generator) -> Floats: ...


acquisitions: Registry[Acquisition] = Registry("acquisition")


@acquisitions("entropy")
def entropy(predictions: Predictions, rng: np.random.Generator) -> Floats:
    """Entropy of the predicted class distribution in nats (Shannon 1948); the paper's choice."""
    probs = predictions.probs
    logs = np.log(probs, out=np.zeros_like(probs), where=probs > 0)
    scores: Floats = -np.einsum("uk,uk->u", probs, logs)
    return scores


def most_informative(indices: Indices, scores: npt.NDArray[np.floating], num_samples: int) -> Indices:
    """The `num_samples` indices with the highest scores, best first; equal scores by the smaller index.

    Args:
        indices: (U,) ascending.
        scores: (U,).
    """
    if num_samples < len(indices):
        edge = np.partition(scores, len(scores) - num_samples)[len(scores) - num_samples]
        above = np.flatnonzero(scores > edge)
        at_edge = np.flatnonzero(scores == edge)[: num_samples - len(above)]
        rows = np.union1d(above, at_edge)
    else:
        rows = np.arange(len(indices))
    return indices[rows[np.argsort(-scores[rows], kind="stable")]]
