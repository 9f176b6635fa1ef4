"""A plug-in as a user writes it outside the package: a query strategy, a clustering, a dataset and a network."""

STRATEGIES = '''\
"""My own ways to annotate."""

from typing import Annotated

import numpy as np
from annotated_types import Gt

from raycal.algorithm.acquisition import by_score
from raycal.algorithm.clustering import clusterings
from raycal.algorithm.clustering.protocol import finite_points
from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.networks import networks

__version__ = "1.2"


@by_score("smallest_norm")
def smallest_norm(view, *, power: Annotated[float, Gt(0)] = 2.0):
    return -(abs(view.predictions.embeddings) ** power).sum(axis=1)


@clusterings("random_centers")
def random_centers(embeddings, num_clusters: int, seed: int):
    points = finite_points(embeddings)
    centers = points[np.random.default_rng(seed).choice(len(points), num_clusters, replace=False)]
    return ((points[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)


@datasets("stripes")
class Stripes:
    def __init__(self, *, seed: int, image_size: int, size: int = 60):
        self.size = size

    def inspect(self) -> DatasetInfo:
        return DatasetInfo(name="stripes", num_train=self.size, num_test=20, num_classes=2)

    def load(self, *, content=None) -> ImageDataset:
        rng = np.random.default_rng(0)
        labels = np.arange(self.size + 20) % 2
        images = rng.integers(0, 200, (self.size + 20, 16, 16, 3), np.uint8)
        images[labels == 1, ::2] = 255
        rows = np.split(np.arange(self.size + 20), [self.size])
        return ImageDataset(
            images=images, labels=labels, train_rows=rows[0], test_rows=rows[1], class_names=("plain", "striped")
        )


@networks("tiny", gflop=0.0027)
def tiny(num_classes: int, *, width: int = 8) -> "nn.Module":
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * width, num_classes),
    )
'''

SWEEP = """\
name: own
plugins: [./strategies.py]
experiment:
  dataset: stripes
  model: {name: tiny, weights: none, width: 4}
  scenario: uncertain+cluster
  acquisition: {name: smallest_norm, power: 1.5}
  clustering: random_centers
  iterations: 2
  interactions_per_iteration: 8
  expert: {purity_threshold: 0.6}
  training: {epochs: 1, batch_size: 8, image_size: 32}
"""
