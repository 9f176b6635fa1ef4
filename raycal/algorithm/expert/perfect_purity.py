"""A bound: the expert for whom every cluster is pure."""

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
    """Shows `of` only the images of a cluster's modal class, which alone get the label; the others stay in D^U.

    The upper bound on what purer clusters of these sizes could give for an interaction: no real expert. The row of the
    ledger has the images that got the label, none wrong with an oracle, and the purity of the whole cluster, which so
    had `num_samples / purity` images. The modal class of equal ones is that with the smallest id. Inside of another
    expert, which labels whole clusters, it does no more than never refuse.

    Args:
        true_labels: (P,) int64.
        of: The expert that is shown these images, and that labels single samples.
    """

    def __init__(self, true_labels: Labels, *, of: OtherExpert = ORACLE) -> None:
        self._true_labels, self._of = true_labels, make(of, true_labels)

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """Those of `of`."""
        return self._of.label_samples(indices, rng)

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """That of `of` to the images of the modal class."""
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
