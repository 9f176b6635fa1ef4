"""An upper bound: the expert to which every cluster appears pure."""

from dataclasses import replace

import numpy as np

from raycal.algorithm.expert.answers import (
    ORACLE,
    Cluster,
    ClusterAnswer,
    OtherExpert,
    SampleAnswers,
    cluster_answer,
    experts,
    make,
)
from raycal.algorithm.records import Indices, Labels


@experts("perfect_purity")
class PerfectPurity:
    """Shows the wrapped expert only the images of a cluster's modal class, and only these images get the label.

    The other images stay in D^U. No real expert can pick out these images. The result is an upper bound on the labels
    per interaction that purer clusters of the same sizes could give. The row of the ledger holds the images that got
    the label, and the purity of the whole cluster. So the cluster had `num_samples / purity` images. If the wrapped
    expert is an oracle, none of the labels is wrong. A tie for the modal class goes to the smallest class id. If
    another expert that labels whole clusters wraps this one, the only effect is that no cluster is refused.

    Args:
        true_labels: (P,) int64.
        of: The wrapped expert, which is shown these images, and which labels single samples.
    """

    def __init__(self, true_labels: Labels, *, of: OtherExpert = ORACLE) -> None:
        self._true_labels, self._of = true_labels, make(of, true_labels)

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The answers of the wrapped expert."""
        return self._of.label_samples(indices, rng)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """The answer of the wrapped expert to the images of the modal class."""
        shown = self._true_labels[cluster.indices]
        rows = np.flatnonzero(shown == np.bincount(shown).argmax())
        part = cluster.indices[rows]
        pure = Cluster(indices=part, embeddings=lambda: cluster.embeddings()[rows])
        answer = self._of.label_cluster(pure, rng)
        judged = cluster_answer(answer.label, self._true_labels[part], seconds=answer.seconds)
        return replace(judged, purity=len(rows) / len(shown), part=part)

    def truth(self, indices: Indices) -> Labels | None:
        """The true labels."""
        return self._true_labels[indices]
