"""The expert that knows all true labels, and the cost model of every simulated expert."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from raycal.algorithm.expert.answers import (
    CLUSTER_ANSWERS,
    SAMPLE_ANSWERS,
    Cluster,
    ClusterAnswer,
    SampleAnswers,
    experts,
)
from raycal.algorithm.records import Indices, Labels

# Crowd workers took this median time for one image of CIFAR-10N (Wei et al. 2022). In the paper, a cluster costs as
# much as an image.
SECONDS_PER_IMAGE = 4.2

Seconds = Annotated[float, Ge(0), Le(1e9)]


@experts("oracle")
class Oracle:
    """The paper's simulated expert: it never errs on a sample, and labels a pure enough cluster with its modal class.

    A cluster of which m images are shown costs `seconds_per_cluster + m * seconds_per_image_shown`. If
    `seconds_per_refused_cluster` is given, it replaces `seconds_per_cluster` for a refused cluster. An expert that
    wraps this one costs the same; m is then the number of images that the wrapping expert passes on.

    Args:
        true_labels: (P,) int64.
        purity_threshold: Least share of the modal class in a cluster that the expert labels, inclusive.
        seconds_per_sample: Cost of the answer to a single image, in seconds.
        seconds_per_cluster: Cost of the answer to a cluster, labeled or refused, in seconds.
        seconds_per_image_shown: Additional cost of each image of a cluster that is shown, in seconds.
        seconds_per_refused_cluster: Cost of a refused cluster, in seconds. None means the cost of a labeled cluster.
    """

    def __init__(
        self,
        true_labels: Labels,
        *,
        purity_threshold: Annotated[float, Gt(0), Le(1), CLUSTER_ANSWERS] = 0.8,
        seconds_per_sample: Annotated[Seconds, SAMPLE_ANSWERS] = SECONDS_PER_IMAGE,
        seconds_per_cluster: Annotated[Seconds, CLUSTER_ANSWERS] = SECONDS_PER_IMAGE,
        seconds_per_image_shown: Annotated[Seconds, CLUSTER_ANSWERS] = 0.0,
        seconds_per_refused_cluster: Annotated[Seconds | None, CLUSTER_ANSWERS] = None,
    ) -> None:
        self._true_labels = true_labels
        self._purity_threshold = purity_threshold
        self._seconds_per_sample = seconds_per_sample
        self._seconds_per_labeled = seconds_per_cluster
        self._seconds_per_refused = (
            seconds_per_cluster if seconds_per_refused_cluster is None else seconds_per_refused_cluster
        )
        self._seconds_per_image_shown = seconds_per_image_shown

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The true labels."""
        return SampleAnswers(
            labels=self._true_labels[indices],
            wrong=np.zeros(len(indices), np.bool_),
            seconds=np.full(len(indices), self._seconds_per_sample),
        )

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """The modal class if its share reaches the threshold, otherwise a refusal; a tie goes to the smallest class
        id."""
        counts, num_shown = np.bincount(self._true_labels[cluster.indices]), len(cluster.indices)
        mode = int(counts.argmax())
        num_right = int(counts[mode])
        accepted = num_right / num_shown >= self._purity_threshold
        seconds = self._seconds_per_labeled if accepted else self._seconds_per_refused
        return ClusterAnswer(
            label=mode if accepted else None,
            purity=num_right / num_shown,
            num_wrong=num_shown - num_right if accepted else None,
            seconds=float(seconds + num_shown * self._seconds_per_image_shown),
        )

    def truth(self, indices: Indices) -> Labels | None:
        """The true labels."""
        return self._true_labels[indices]
