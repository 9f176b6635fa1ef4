"""The pool: a partition of the training images into D^U, D^L, D^CL and the pseudo-labeled samples.

With `keep_cluster_labels`, D^CL has two parts: the samples labeled in this iteration, and the samples that kept their
label from an earlier iteration. A kept label was given to a whole cluster, so the expert may be asked about the sample
alone, and that answer replaces the kept label. A label given to a single sample is never removed, but people may amend
it between two iterations.
"""

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np

from raycal.algorithm.records import Answer, Floats, Indices, Interaction, Kind, Labels, PoolSnapshot, TrainingSet

UNLABELED, LABELED, CLUSTER_LABELED, PSEUDO_LABELED, KEPT = 0, 1, 2, 3, 4
STATUSES = (UNLABELED, LABELED, CLUSTER_LABELED, PSEUDO_LABELED, KEPT)
NO_LABEL = -1
MAX_LABEL = np.iinfo(np.int32).max
# The weight in training of a sample of D^CL, or where it comes from.
ClusterWeight = float | Literal["purity", "posterior"]


class Pool:
    """The partition of the P pool samples and the labels given so far.

    Every sample is in exactly one of D^U, D^L, D^CL and the pseudo-labeled samples, and it has a label if and only if
    it is not in D^U. The pool does not hold the true labels; the expert does.
    """

    def __init__(self, snapshot: PoolSnapshot) -> None:
        status, labels = np.asarray(snapshot.status), np.asarray(snapshot.labels)
        if status.ndim != 1 or status.shape != labels.shape:
            raise ValueError(f"status {status.shape} and labels {labels.shape} should have one entry per sample")
        if not np.isin(status, STATUSES).all():
            raise ValueError("a sample is neither in D^U, D^L or D^CL nor pseudo-labeled")
        if ((status == UNLABELED) != (labels == NO_LABEL)).any() or (labels < NO_LABEL).any():
            raise ValueError("a sample must have a label if and only if it is not in D^U")
        self._status, self._labels = status.astype(np.int8), labels.astype(np.int32)
        self._purity = np.ones(len(status), np.float32)
        if snapshot.purity is not None:
            self._purity[:] = snapshot.purity

    @classmethod
    def of(cls, num_samples: int) -> Self:
        """A pool with every sample in D^U (Alg. 1, line 1)."""
        return cls(
            PoolSnapshot(
                status=np.full(num_samples, UNLABELED, np.int8), labels=np.full(num_samples, NO_LABEL, np.int32)
            )
        )

    def __len__(self) -> int:
        return len(self._status)

    @property
    def num_unlabeled(self) -> int:
        """Size of D^U."""
        return int(np.count_nonzero(self._status == UNLABELED))

    @property
    def num_labeled(self) -> int:
        """Size of D^L."""
        return int(np.count_nonzero(self._status == LABELED))

    @property
    def num_cluster_labeled(self) -> int:
        """Size of D^CL, including the samples with a kept label."""
        return int(np.count_nonzero((self._status == CLUSTER_LABELED) | (self._status == KEPT)))

    @property
    def num_pseudo_labeled(self) -> int:
        """Number of pseudo-labeled samples, whose label no expert gave."""
        return int(np.count_nonzero(self._status == PSEUDO_LABELED))

    def unlabeled(self) -> Indices:
        """The indices (U,) of D^U, ascending."""
        return np.flatnonzero(self._status == UNLABELED)

    def labeled(self) -> Indices:
        """The indices of D^L, ascending."""
        return np.flatnonzero(self._status == LABELED)

    def kept(self) -> Indices:
        """The indices of the samples of D^CL that were labeled in an earlier iteration, ascending."""
        return np.flatnonzero(self._status == KEPT)

    def askable(self) -> Indices:
        """The indices of the samples that can be labeled one by one, ascending: D^U and the samples with a kept
        label."""
        return np.flatnonzero((self._status == UNLABELED) | (self._status == KEPT))

    def training_set(self, cluster_weight: ClusterWeight = 1.0) -> TrainingSet:
        """D^L, D^CL and the pseudo-labeled samples, with their labels.

        Args:
            cluster_weight: Weight of a sample of D^CL, where a sample of D^L has weight 1. With `purity`, the weight of
                a sample is the purity of its cluster. With `posterior`, it is the one that `weigh` has set.
        """
        indices = np.flatnonzero(self._status != UNLABELED)
        weights = None
        if cluster_weight != 1:
            of_clusters = self._purity[indices] if isinstance(cluster_weight, str) else np.float32(cluster_weight)
            of_cluster = (self._status[indices] == CLUSTER_LABELED) | (self._status[indices] == KEPT)
            weights = np.where(of_cluster, of_clusters, np.float32(1))
        return TrainingSet(indices=indices, labels=self._labels[indices].astype(np.int64), weights=weights)

    def apply(self, interaction: Interaction) -> None:
        """Move a labeled sample to D^L or a labeled cluster to D^CL (Alg. 1, lines 21 and 27); a refusal moves nothing.

        A sample with a kept label may be labeled on its own: the new label replaces the label of the cluster.

        Raises:
            ValueError: A sample of the interaction may not be labeled, or the label is not a valid class. In that case
                the pool is unchanged.
        """
        if interaction.answer is Answer.REFUSED:
            return
        indices, label = interaction.indices, interaction.label
        if label is None or not 0 <= label <= MAX_LABEL:
            raise ValueError(f"interaction {interaction.interaction} has the invalid label {label}")
        if not self._are(indices, *((UNLABELED, KEPT) if interaction.kind is Kind.SAMPLE else (UNLABELED,))):
            raise ValueError(f"interaction {interaction.interaction} labels a sample that is not in D^U")
        # NumPy is much faster with a single index than with an array of indices.
        at = indices.item() if len(indices) == 1 else indices
        self._status[at] = LABELED if interaction.kind is Kind.SAMPLE else CLUSTER_LABELED
        self._labels[at] = label
        self._purity[at] = 1 if interaction.purity is None else interaction.purity

    def amend(self, indices: Indices, labels: Labels) -> None:
        """Give samples (n,) of D^L other labels (n,).

        Raises:
            ValueError: A sample is not in D^L, or a label is not a valid class. The pool is unchanged then.
        """
        if not self._are(indices, LABELED):
            raise ValueError("the label of a sample that is not in D^L cannot be amended")
        if ((labels < 0) | (labels > MAX_LABEL)).any():
            raise ValueError("an amended label is not a valid class")
        self._labels[indices] = labels

    def weigh(self, probabilities: Floats) -> None:
        """Set the weights of the samples of D^CL, which last as long as their labels.

        Args:
            probabilities: (P,) The probability that the label of each sample is right.
        """
        of_cluster = np.flatnonzero((self._status == CLUSTER_LABELED) | (self._status == KEPT))
        self._purity[of_cluster] = probabilities[of_cluster]

    def pseudo_label(self, indices: Indices, labels: Labels) -> None:
        """Give samples (n,) of D^U labels (n,) that no expert gave and that last until `release`.

        Raises:
            ValueError: A sample is not in D^U, or a label is not a valid class. The pool is unchanged then.
        """
        if not self._are(indices, UNLABELED):
            raise ValueError("a sample that is not in D^U cannot be pseudo-labeled")
        if ((labels < 0) | (labels > MAX_LABEL)).any():
            raise ValueError("a pseudo-label is not a valid class")
        self._status[indices] = PSEUDO_LABELED
        self._labels[indices] = labels

    def release(self, *, keep_cluster_labels: bool = False) -> None:
        """Move D^CL and the pseudo-labeled samples back to D^U, without their labels (Alg. 1, line 17).

        Args:
            keep_cluster_labels: Let the samples of D^CL keep their labels and weights until the expert labels them one
                by one. This is not in the paper.
        """
        # Indices are used, because a mask with scattered entries makes the CPU mispredict a branch at every other
        # sample.
        if keep_cluster_labels:
            self._status[np.flatnonzero(self._status == CLUSTER_LABELED)] = KEPT
        released = np.flatnonzero((self._status == CLUSTER_LABELED) | (self._status == PSEUDO_LABELED))
        self._status[released] = UNLABELED
        self._labels[released] = NO_LABEL
        self._purity[released] = 1

    def snapshot(self) -> PoolSnapshot:
        """A copy of the partition that later moves do not change."""
        return PoolSnapshot(status=self._status.copy(), labels=self._labels.copy(), purity=self._purity.copy())

    def _are(self, indices: Indices, *statuses: int) -> bool:
        """Whether all indices are samples of the pool with one of these statuses."""
        if len(indices) == 1:  # Most interactions are about one sample, for which array functions are slow.
            index = indices.item()
            return 0 <= index < len(self) and self._status.item(index) in statuses
        # As an unsigned number, a negative index becomes a huge one.
        if np.count_nonzero(indices.astype(np.uint64) >= len(self)):
            return False
        values = self._status[indices]
        return sum(np.count_nonzero(values == status) for status in statuses) == len(indices)


def as_arrays(labels: Mapping[int, int]) -> tuple[Indices, Labels]:
    """The samples of a mapping and their labels, each as an array (n,) of int64."""
    return np.array([*labels], np.int64), np.array([*labels.values()], np.int64)
