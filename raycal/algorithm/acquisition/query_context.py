"""The input of an acquisition function."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.records import Floats, Labels, Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadWeights:
    """The weights of the last layer: logits = embeddings @ weights.T + bias.

    Attributes:
        weights: (K, D) float32.
        bias: (K,) float32.
    """

    weights: Floats
    bias: Floats

    def probs(self, embeddings: Floats) -> Floats:
        """The class probabilities (n, K) float32 of embeddings (n, D)."""
        logits = embeddings @ self.weights.T + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs: Floats = odds / odds.sum(axis=1, keepdims=True)
        return probs


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedSamples:
    """The labeled samples that cannot be chosen in this step, by ascending index.

    These are the samples of D^L, and the samples of D^CL that earlier steps of this iteration labeled. A sample with a
    kept label is included only if it cannot be chosen in this step (see `keep_cluster_labels` in `loop`).

    Attributes:
        embeddings: (M, D) float32, computed by the query model.
        labels: (M,) int64, the labels that were given, which may differ from the true ones.
        separate: (M, F) float32, embeddings by a separate feature model. None if there is no such model.
    """

    embeddings: Floats
    labels: Labels
    separate: Floats | None = None

    @property
    def features(self) -> Floats:
        """(M, D) or (M, F) float32, comparable with `Predictions.features`."""
        return self.embeddings if self.separate is None else self.separate


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryContext:
    """The query model and the pool in one annotation step; its arrays must not be written to.

    Attributes:
        predictions: Predictions for the samples that may be chosen, at least one: D^U and, in a step that asks about
            single images, the samples with a kept label.
        rng: Random stream of the step, from which every random number must be drawn.
        annotated: Computes the embeddings of the labeled samples that cannot be chosen. The first call in an iteration
            takes a pass over these samples.
        head: Returns the weights of the query model's last layer.
        members: Computes class probabilities (count, U, K) float32 of an ensemble for the samples that may be chosen.
            The members are the query model and count - 1 networks that are trained on the same labels with other
            initial heads and sample orders. The first call in an iteration trains them.
    """

    predictions: Predictions
    rng: np.random.Generator
    annotated: Callable[[], AnnotatedSamples]
    head: Callable[[], HeadWeights]
    members: Callable[[int], Floats]
