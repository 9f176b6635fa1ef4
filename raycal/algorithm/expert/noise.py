"""Experts that mistake some images for another class: the common models of label noise, defined by transition matrices.

The expert perceives a class for each image, drawn from the transition matrix, whether the image is shown alone or in a
cluster. The wrapped expert then answers as if the perceived classes were the true labels. So clusters are also judged
by noisy labels, and may be refused or labeled incorrectly.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.expert.answers import (
    ALL_ANSWERS,
    ORACLE,
    Cluster,
    ClusterAnswer,
    Expert,
    OtherExpert,
    SampleAnswers,
    cluster_answer,
    experts,
    make,
)
from raycal.algorithm.records import Indices, Labels
from raycal.errors import InputError

Rate = Annotated[float, Ge(0), Le(1)]
ErrorRate = Annotated[Rate, ALL_ANSWERS]
Matrix = npt.NDArray[np.float64]
ROUNDING = 1e-6  # The sum of a row of the matrix, which is given in decimals, may differ from one by this much.


class _Noise:
    """Mistakes a sample of class i for class j with probability `transitions[i, j]` (K, K); each row sums to one."""

    def __init__(self, true_labels: Labels, transitions: Matrix, of: Mapping[str, Any]) -> None:
        self._true_labels, self._of = true_labels, of
        self._cumulative = transitions.cumsum(axis=1)
        self._cumulative /= self._cumulative[:, -1:]

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The answers of the wrapped expert, for which the perceived classes are the true labels."""
        expert, rng = self._misled(indices, rng)
        answers = expert.label_samples(indices, rng)
        return replace(answers, wrong=answers.labels != self._true_labels[indices])

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer:
        """The answer of the wrapped expert, for which the perceived classes are the true labels."""
        expert, rng = self._misled(cluster.indices, rng)
        answer = expert.label_cluster(cluster, rng)
        return cluster_answer(answer.label, self._true_labels[cluster.indices], seconds=answer.seconds)

    def truth(self, indices: Indices) -> Labels | None:
        """The true labels."""
        return self._true_labels[indices]

    def _misled(self, indices: Indices, rng: np.random.Generator) -> tuple[Expert, np.random.Generator]:
        """A wrapped expert that takes the perceived classes of these samples for the true labels, and the random
        generator for this expert."""
        noise_rng, others = rng.spawn(2)
        draws = noise_rng.random(len(self._true_labels))[indices]
        perceived = self._true_labels.copy()
        perceived[indices] = (draws[:, None] >= self._cumulative[self._true_labels[indices]]).sum(axis=1)
        return make(self._of, perceived), others


@experts("symmetric_noise")
class SymmetricNoise(_Noise):
    """Symmetric noise, as in Han et al. 2018, Co-teaching: every other class is perceived with the same probability.

    Args:
        true_labels: (P,) int64. The largest label defines the number of classes.
        rate: Probability that another class is perceived.
        of: The wrapped expert, which takes the perceived classes for the true labels.
    """

    def __init__(self, true_labels: Labels, *, rate: ErrorRate = 0.2, of: OtherExpert = ORACLE) -> None:
        num_classes = _num_classes(true_labels)
        transitions = np.full((num_classes, num_classes), rate / max(num_classes - 1, 1))
        np.fill_diagonal(transitions, 1 - rate if num_classes > 1 else 1)
        super().__init__(true_labels, transitions, of)


@experts("pair_noise")
class PairNoise(_Noise):
    """Pair flipping, as in Han et al. 2018, Co-teaching: each class is mistaken for only one other class.

    Args:
        true_labels: (P,) int64.
        rate: Probability that the partner of the class is perceived.
        partners: (K,) The partner of each class, which is the class that may be perceived in its place. A class that is
            never mistaken is its own partner. None means that the partner is the next class, and for the last class the
            first class.
        of: The wrapped expert, which takes the perceived classes for the true labels.

    Raises:
        InputError: The number of partners is not the number of classes, or a partner is not a valid class.
    """

    def __init__(
        self,
        true_labels: Labels,
        *,
        rate: ErrorRate = 0.45,
        partners: Annotated[list[Annotated[int, Ge(0)]] | None, ALL_ANSWERS] = None,
        of: OtherExpert = ORACLE,
    ) -> None:
        num_classes = _num_classes(true_labels)
        if partners is None:
            partners = [(label + 1) % num_classes for label in range(num_classes)]
        if len(partners) != num_classes or max(partners) >= num_classes:
            raise InputError(
                f"expert pair_noise: partners: should be {num_classes} of the classes 0 to {num_classes - 1}, "
                f"not {partners}"
            )
        transitions = (1 - rate) * np.eye(num_classes)
        transitions[np.arange(num_classes), partners] += rate
        super().__init__(true_labels, transitions, of)


@experts("confusion_noise")
class ConfusionNoise(_Noise):
    """Class-dependent noise, as in Patrini et al. 2017 (Making deep neural networks robust to label noise).

    Args:
        true_labels: (P,) int64.
        matrix: (K, K) Row i, column j holds the probability that an image of class i is mistaken for class j.
        of: The wrapped expert, which takes the perceived classes for the true labels.

    Raises:
        InputError: The matrix does not have one row and one column per class, or a row does not sum to one.
    """

    def __init__(
        self, true_labels: Labels, *, matrix: Annotated[list[list[Rate]], ALL_ANSWERS], of: OtherExpert = ORACLE
    ) -> None:
        num_classes = _num_classes(true_labels)
        if [len(row) for row in matrix] != [num_classes] * num_classes:
            raise InputError(
                f"expert confusion_noise: matrix: should be {num_classes} rows of {num_classes}, one for each class, "
                f"not {len(matrix)} of {' or '.join(map(str, sorted({len(row) for row in matrix})))}"
            )
        for number, row in enumerate(matrix):
            if abs(sum(row) - 1) > ROUNDING:
                raise InputError(f"expert confusion_noise: matrix: row {number} should sum to 1, not to {sum(row):.6g}")
        super().__init__(true_labels, np.array(matrix, np.float64), of)


def _num_classes(true_labels: Labels) -> int:
    return int(true_labels.max()) + 1
