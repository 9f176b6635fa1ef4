"""An expert that sees only some images of a cluster."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.centroid import from_centroid, least, squared_distances_to
from raycal.algorithm.expert.answers import (
    CLUSTER_ANSWERS,
    ORACLE,
    Cluster,
    ClusterAnswer,
    OtherExpert,
    SampleAnswers,
    cluster_answer,
    experts,
    make,
)
from raycal.algorithm.records import Floats, Indices, Labels

Show = Literal["medoids", "rim", "coverage", "random"]


@experts("few_images")
class FewImages:
    """Judges the label and purity of a cluster from a few of its images, as people do in the paper's figure 1.

    The whole cluster gets the label, so an impure cluster may be labeled and a pure cluster may be refused. The wrapped
    expert answers the questions about single samples. A cluster costs as much as the wrapped expert charges for the
    images shown.

    Args:
        true_labels: (P,) int64.
        images_shown: Number of images shown of each cluster. All images of a smaller cluster are shown.
        show: Which images are shown, by distance between embeddings; among equal distances the smaller index wins.
            `medoids` shows the images nearest to the mean of the cluster, which have the least sum of squared distances
            to all its images. `rim` shows the images farthest from the mean. `coverage` shows the medoid, and then
            repeatedly the image farthest from all that are shown (Gonzalez 1985, greedy k-center). `random` draws them.
        of: The wrapped expert, which judges the images shown.
    """

    def __init__(
        self,
        true_labels: Labels,
        *,
        images_shown: Annotated[int, Ge(1), Le(10**9), CLUSTER_ANSWERS] = 9,
        show: Annotated[Show, CLUSTER_ANSWERS] = "medoids",
        of: OtherExpert = ORACLE,
    ) -> None:
        self._true_labels, self._of = true_labels, make(of, true_labels)
        self._images_shown, self._show = images_shown, show

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The answers of the wrapped expert."""
        # The generator is split as in label_cluster(), so that the wrapped expert draws the same numbers.
        _, others = rng.spawn(2)
        return self._of.label_samples(indices, others)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """The answer of the wrapped expert to the images shown."""
        choice_rng, others = rng.spawn(2)
        rows = self._shown(cluster, choice_rng)
        shown = Cluster(indices=cluster.indices[rows], embeddings=lambda: cluster.embeddings()[rows])
        answer = self._of.label_cluster(shown, others)
        return cluster_answer(answer.label, self._true_labels[cluster.indices], seconds=answer.seconds)

    def truth(self, indices: Indices) -> Labels | None:
        """The true labels."""
        return self._true_labels[indices]

    def _shown(self, cluster: Cluster, rng: np.random.Generator) -> Indices:
        """The rows of the images to show, ascending."""
        if len(cluster.indices) <= self._images_shown:
            return np.arange(len(cluster.indices))
        if self._show == "random":
            keys = rng.random(len(self._true_labels))[cluster.indices]
            return least(keys, self._images_shown)
        points = cluster.embeddings()
        from_mean = from_centroid(points)
        if self._show == "coverage":
            return _covering(points, int(from_mean.argmin()), self._images_shown)
        return least(from_mean if self._show == "medoids" else -from_mean, self._images_shown)


def _covering(points: Floats, first: int, count: int) -> Indices:
    """Rows of `count` points, ascending: `first`, and then repeatedly the point farthest from all chosen points."""
    rows = [first]
    nearest = squared_distances_to(points, points[first])
    nearest[first] = -1
    for _ in range(count - 1):
        rows.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, squared_distances_to(points, points[rows[-1]]))
        nearest[rows[-1]] = -1
    return np.sort(np.array(rows, np.int64))
