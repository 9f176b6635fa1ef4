"""Gives a label to each sample of a simulated pool.

People have labeled a part of a pool, and not a random part: most labels come from clusters whose samples look alike. If
the simulated pool had only these samples, its clusters would be purer than those of the project, and if the labels of
clusters counted as true, all of them would be pure. So labels of clusters do not count. Each sample that was not
labeled alone gets the label of the sample that is most similar to it among those that were, of which the hold-out is a
random part. Statisticians call this hot-deck imputation (Andridge and Little, 2010).

Measured on 2026-11-28 with one simulated project for each data set of `test_advice_saves_time`: of the labels that
people had given, 90 % were right on digits, 92 % on CIFAR-10 and 88 % on AID. For the same samples, 94, 93 and 89 % of
the imputed labels were right, and for samples without a label 92, 68 and 57 %. On digits no policy seemed better than
another with the labels of people; with the imputed ones, the advantages of six policies were within 0.04 of the true
ones (6 seeds).
"""

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Labels

UNKNOWN = -1


def impute(vectors: Floats, labels: Labels, trusted: npt.NDArray[np.bool_]) -> Labels:
    """Give each sample whose label is not trusted the label of the most similar sample whose label is.

    Samples are compared where a linear discriminant separates the labels best, because most of the differences between
    features have nothing to do with the classes.

    Args:
        vectors: (n, D) The features of all samples.
        labels: (n,) The labels; `UNKNOWN` for a sample that nobody has labeled. The discriminant is fitted to all
            labels, also to those that are not trusted.
        trusted: (n,) Whether the label of a sample counts. At least one must.

    Returns:
        (n,) The labels. Those that are trusted are unchanged.
    """
    from sklearn.neighbors import KNeighborsClassifier

    complete = labels.copy()
    if not trusted.all():
        points = _separated(vectors.astype(np.float64), labels)
        nearest = KNeighborsClassifier(n_neighbors=1).fit(points[trusted], labels[trusted])
        complete[~trusted] = nearest.predict(points[~trusted])
    return complete


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
