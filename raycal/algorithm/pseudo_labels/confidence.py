"""Pseudo-labels of what the asking model is sure of."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.acquisition import View
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.pseudo_labels.given import PseudoLabels, pseudo_labels


@pseudo_labels("ceal")
def ceal(
    view: View,
    iteration: int,
    /,
    *,
    delta: Annotated[float, Ge(0)] = 0.05,
    decay: Annotated[float, Ge(0)] = 0.0033,
) -> PseudoLabels:
    """CEAL (Wang, Zhang, Li, Zhang, Lin 2017, Cost-Effective Active Learning for Deep Image Classification).

    The most probable class of every sample whose entropy is below a threshold, which falls as the model learns to
    predict more of them.

    The paper updates the threshold in iteration t > 0 to `delta - decay * t`. There are two readings: `delta` is the
    first threshold, so that it falls by the same amount in every iteration, as here; or it is the threshold of the
    iteration before, so that it has fallen by `decay * t (t + 1) / 2`.

    Args:
        delta: The threshold in iteration 0, in nats; the paper's for CACD.
        decay: The amount by which it falls in each iteration; the paper's for CACD.
    """
    threshold = delta - decay * iteration
    return _most_probable(view, entropies(view.predictions.probs) < threshold)


@pseudo_labels("confident")
def confident(view: View, iteration: int, /, *, threshold: Annotated[float, Ge(0), Le(1)] = 0.95) -> PseudoLabels:
    """Pseudo-labels (Lee 2013): the most probable class, where its probability reaches a threshold.

    Lee takes all samples; the threshold and its value are those of FixMatch (Sohn et al. 2020).
    """
    return _most_probable(view, view.predictions.probs.max(axis=1) >= threshold)


def _most_probable(view: View, chosen: npt.NDArray[np.bool_]) -> PseudoLabels:
    """The most probable class of the chosen samples (U,); of equal ones the smallest class id."""
    predictions = view.predictions
    return PseudoLabels(predictions.indices[chosen], predictions.probs[chosen].argmax(axis=1).astype(np.int64))
