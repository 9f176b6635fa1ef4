"""The model as Algorithm 1 sees it."""

from typing import Protocol

import numpy as np

from raycal.algorithm.acquisition import Head
from raycal.algorithm.records import Evaluation, Fitted, Indices, Predictions, TrainingSet


class Learner(Protocol):
    """The model that is reset, trained, evaluated, and that asks."""

    def reset(self, rng: np.random.Generator) -> None:
        """Back to the pretrained weights, with a head drawn from `rng`."""

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        """Train on the labels given, and say what came of it; an empty set changes nothing."""

    def predict(self, indices: Indices) -> Predictions:
        """Class probabilities and embeddings in one pass; `indices` ascending."""

    def head(self) -> Head:
        """The last layer as it is now."""

    def evaluate(self) -> Evaluation:
        """The model on the test split."""

    def save(self) -> bytes:
        """The weights as they are now."""

    def load(self, saved: bytes) -> None:
        """The weights of an earlier `save`."""
