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
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier

    known, points = labels != UNKNOWN, vectors.astype(np.float64)
    if len(np.unique(labels[known])) > 1:
        discriminant = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
        points = discriminant.fit(points[known], labels[known]).transform(points)
    complete = labels.copy()
    if not trusted.all():
        nearest = KNeighborsClassifier(n_neighbors=1).fit(points[trusted], labels[trusted])
        complete[~trusted] = nearest.predict(points[~trusted])
    return complete
