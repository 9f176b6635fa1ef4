"""What an acquisition function may look at."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.records import Floats, Labels, Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last layer: logits = embeddings @ weights.T + bias.

    Attributes:
        weights: (K, D) float32.
        bias: (K,) float32.
    """

    weights: Floats
    bias: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedSamples:
    """The samples with a label that cannot be chosen in this step, by ascending index.

    They are D^L, and D^CL of this iteration's earlier steps. A sample that kept the label of a cluster from an earlier
    iteration is here only where it is not among the predictions.

    Attributes:
        embeddings: (M, D) float32, by the asking model.
        labels: (M,) int64, as given; not necessarily true.
    """

    embeddings: Floats
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The asking model and the pool in one annotation step; arrays are not to be written to.

    Attributes:
        predictions: Of the samples that may be chosen, one at least: D^U, and where labels of clusters are kept, in a
            step that asks for single images, the samples with a kept label as well.
        rng: Of the step; every draw comes from here.
        annotated: One pass over D^L, when called first in an iteration.
        head: Of the asking model.
        members: Class probabilities (count, U, K) float32 of D^U by an ensemble: the asking model and count - 1 others
            trained on the same labels from other heads and orders of the samples, when called first in an iteration.
    """

    predictions: Predictions
    rng: np.random.Generator
    annotated: Callable[[], AnnotatedSamples]
    head: Callable[[], Head]
    members: Callable[[int], Floats]
