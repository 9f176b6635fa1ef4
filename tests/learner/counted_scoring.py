"""A feature extractor that counts the images it scores."""

from typing import Any

from raycal.learner.feature_extractor import FeatureExtractor
from raycal.learner.learner import NetworkLearner


class Counting(FeatureExtractor):
    """Counts the images whose embeddings it computes."""

    num_scored = 0

    def _forward(self, rows: Any) -> Any:
        self.num_scored += len(rows)
        return super()._forward(rows)


def num_scored(made: NetworkLearner) -> int:
    """The number of images whose embeddings the network of a learner computed."""
    assert isinstance(made.extractor, Counting)
    return made.extractor.num_scored
