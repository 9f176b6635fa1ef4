"""Gives a label to each sample of a simulated pool.

People have labeled a part of a pool, and not a random part: most labels come from clusters whose samples look alike. If
the simulated pool had only these samples, its clusters would be purer than those of the project, and if all labels of
clusters counted as true, nearly all clusters would be pure. So a sample without a label gets the label of the sample
that is most similar to it among those that were labeled alone, of which the hold-out is a random part. Statisticians
call this hot-deck imputation (Andridge and Little, 2010). The label that a cluster gave to a sample counts, unless the
two samples that are most similar to it were both labeled alone with one and the same other class.

Measured on 2026-11-28 with one simulated project for each data set of `test_advice_saves_time`: of the labels that
people had given, 90 % were right on digits, 96 % on the made-up samples, 92 % on CIFAR-10 and 88 % on AID. For the same
samples, 93, 96, 92 and 90 % of the imputed labels were right, and for samples without a label 92, 82, 68 and 57 %. If
the label of the most similar sample always counted, 94 % would be right on digits, but 89 % on the made-up samples.
"""

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Labels
from raycal.storage.predictions import UNKNOWN

# If so many similar samples all have one other label, the label that a cluster gave is doubtful.
DOUBTS = 2


def impute(vectors: Floats, labels: Labels, trusted: npt.NDArray[np.bool_]) -> Labels:
    """Give each sample without a label, or with a doubtful one, the label of the most similar sample that is trusted.

    Samples are compared where a linear discriminant separates the labels best, because most of the differences between
    features have nothing to do with the classes.

    Args:
        vectors: (n, D) The features of all samples.
        labels: (n,) The labels; `UNKNOWN` for a sample that nobody has labeled. The discriminant is fitted to all
            labels, also to those that are not trusted.
        trusted: (n,) Whether the label of a sample counts in any case. At least one must.

    Returns:
        (n,) The labels. Those that are trusted are unchanged.
    """
    from sklearn.neighbors import KNeighborsClassifier

    if trusted.all():
        return labels
    points, number = _separated(vectors.astype(np.float64), labels), min(DOUBTS, trusted.sum())
    neighbors = KNeighborsClassifier(number).fit(points[trusted], labels[trusted])
    nearest = labels[trusted][neighbors.kneighbors(points, return_distance=False)]  # (n, number)
    is_doubtful = (labels == UNKNOWN) | (nearest == nearest[:, :1]).all(axis=1)
    return np.where(is_doubtful & ~trusted, nearest[:, 0], labels)


def _separated(points: npt.NDArray[np.float64], labels: Labels) -> npt.NDArray[np.float64]:
    """The points in the space of a linear discriminant, which is fitted to the classes with several samples. They are
    unchanged if fewer than two classes have several samples, or if the samples of each class are all equal."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classes, counts = np.unique(labels[labels != UNKNOWN], return_counts=True)
    known = np.isin(labels, classes[counts > 1])
    if (counts > 1).sum() < 2:
        return points
    discriminant = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    try:
        result: npt.NDArray[np.float64] = discriminant.fit(points[known], labels[known]).transform(points)
    except np.linalg.LinAlgError:
        return points
    return result
