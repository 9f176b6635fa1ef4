"""Pseudo-labels for the samples about which the query model is certain."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.acquisition import QueryContext
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.pseudo_labels.given import PseudoLabels, pseudo_labels


@pseudo_labels("ceal")
def ceal(
    view: QueryContext,
    iteration: int,
    /,
    *,
    delta: Annotated[float, Ge(0)] = 0.05,
    decay: Annotated[float, Ge(0)] = 0.0033,
) -> PseudoLabels:
    """CEAL (Wang, Zhang, Li, Zhang, Lin 2017, Cost-Effective Active Learning for Deep Image Classification).

    Every sample whose entropy is below a threshold gets its most probable class. The threshold falls from iteration to
    iteration, because the model becomes certain about more samples.

    The paper updates the threshold in iteration t > 0 to `delta - decay * t`, which can be read in two ways. Here
    `delta` is the first threshold, which falls by the same amount in every iteration. If `delta` is the threshold of
    the previous iteration, the threshold has fallen by `decay * t (t + 1) / 2` after t iterations.

    Args:
        delta: The threshold in iteration 0, in nats. The default is the paper's value for CACD.
        decay: The amount by which the threshold falls in each iteration. The default is the paper's value for CACD.
    """
    threshold = delta - decay * iteration
    return _most_probable(view, entropies(view.predictions.probs) < threshold)


@pseudo_labels("confident")
def confident(
    view: QueryContext, iteration: int, /, *, threshold: Annotated[float, Ge(0), Le(1)] = 0.95
) -> PseudoLabels:
    """Pseudo-labels (Lee 2013): the most probable class of every sample where its probability reaches a threshold.

    Lee labels all samples. The threshold and its default are those of FixMatch (Sohn et al. 2020).
    """
    return _most_probable(view, view.predictions.probs.max(axis=1) >= threshold)


def _most_probable(view: QueryContext, chosen: npt.NDArray[np.bool_]) -> PseudoLabels:
    """The most probable class of the samples where the mask `chosen` (U,) is true; a tie goes to the smallest id."""
    predictions = view.predictions
    return PseudoLabels(predictions.indices[chosen], predictions.probs[chosen].argmax(axis=1).astype(np.int64))
