"""The interface through which Algorithm 1 uses the model."""

from typing import Protocol

import numpy as np

from raycal.algorithm.acquisition import HeadWeights
from raycal.algorithm.records import Evaluation, Fitted, Indices, Predictions, TrainingSet


class Learner(Protocol):
    """The model, which is reset, trained and evaluated, and whose predictions decide what the expert is asked."""

    def reset(self, rng: np.random.Generator) -> None:
        """Restore the pretrained weights, and draw a new head from `rng`."""

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        """Train on the given labels, and return the length and losses of the training; an empty set changes nothing."""

    def predict(self, indices: Indices) -> Predictions:
        """The class probabilities and embeddings of the samples, from one pass; `indices` must be ascending."""

    def head(self) -> HeadWeights:
        """The current weights of the last layer."""

    def evaluate(self) -> Evaluation:
        """Evaluate the model on the test split."""

    def save(self) -> bytes:
        """The current weights of the model, serialized."""

    def load(self, saved: bytes) -> None:
        """Restore the weights of an earlier `save`."""
