"""The means of clusters, and the distances of the points to these means."""

import numpy as np

from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds

_ROWS_AT_ONCE = 4096


def means(points: Floats, cluster_ids: ClusterIds, otherwise: Floats) -> Floats:
    """The mean (C, D) of each cluster of points (U, D); an empty cluster gets its row of `otherwise` (C, D).

    The points are summed in their order, whatever the number of threads.
    """
    order = np.argsort(cluster_ids, kind="stable")
    used, begins, sizes = np.unique(cluster_ids[order], return_index=True, return_counts=True)
    centers = otherwise.copy()
    for cluster, begin, size in zip(used, begins, sizes, strict=True):
        centers[cluster] = points[order[begin : begin + size]].mean(axis=0)
    return centers


def inertia(points: Floats, cluster_ids: ClusterIds) -> float:
    """The sum of squared distances of points (U, D) to the means of their clusters, which k-means minimizes."""
    centers = means(points, cluster_ids, np.zeros((int(cluster_ids.max()) + 1, points.shape[1]), np.float32))
    total = 0.0
    for begin in range(0, len(points), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        total += float(((points[rows] - centers[cluster_ids[rows]]) ** 2).sum(dtype=np.float64))
    return total
