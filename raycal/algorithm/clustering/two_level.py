"""K-means in two levels, for many clusters of many points."""

from math import isqrt
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.clustering.means import means
from raycal.algorithm.clustering.protocol import Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds
from raycal.kmeans.faiss_lloyd import lloyd, nearest


@clusterings("two_level_kmeans")
def two_level_kmeans(
    embeddings: Floats,
    num_clusters: int,
    seed: int,
    *,
    iterations: Iterations = 40,
    rounds: Annotated[int, Ge(0), Le(10**6)] = 4,
) -> ClusterIds:
    """K-means into about sqrt(C) coarse cells, k-means in each cell, then a few more iterations of Lloyd's algorithm
    over all points.

    It computes a fraction of the distances that `kmeans` computes: about 2 U sqrt(C) `iterations` + U C `rounds`
    instead of U C `iterations`. Its inertia differs from the inertia of `kmeans` by at most 1 % if clusters have about
    nine points or more, and by more if they have fewer. On a CPU the same seed and number of threads give the same
    clusters. Faiss runs all levels on a GPU if it can use one. Each cell is then a separate call, so `kmeans` may well
    be faster on a GPU; the two have not been compared on a GPU yet.

    Args:
        iterations: Number of iterations in each of the two levels.
        rounds: Number of final iterations over all points, each of which moves every center to the mean of its cluster,
            and assigns every point to its nearest center.
    """
    points = finite_points(embeddings)
    cells = lloyd(points, isqrt(num_clusters), seed, iterations)
    seeds = np.random.default_rng(seed).integers(2**31, size=isqrt(num_clusters))
    cluster_ids, first = np.empty(len(points), np.int64), 0
    for cell, children in enumerate(shares(np.bincount(cells), num_clusters).tolist()):
        members = np.flatnonzero(cells == cell)
        if children:
            cluster_ids[members] = first + lloyd(points[members], children, int(seeds[cell]), iterations)
        first += children
    return _refined(points, cluster_ids, num_clusters, rounds)


def shares(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """The number of the `total` clusters that each cell gets, in proportion to its size.

    A cell that is not empty gets at least one cluster, and no cell gets more clusters than it has points. Clusters that
    remain after rounding down go to the cells with the largest fractions; among equal fractions the first cell wins.

    Args:
        sizes: Number of points in each cell.
        total: Number of clusters, at least the number of cells with points, and at most the number of points.
    """
    least = (sizes > 0).astype(np.int64)
    others, left = sizes - least, total - int(least.sum())
    whole, fractions = np.divmod(left * others, max(1, int(others.sum())))
    rest = left - int(whole.sum())
    whole[np.argsort(-fractions, kind="stable")[:rest]] += 1
    return least + whole


def _refined(points: Floats, cluster_ids: ClusterIds, num_clusters: int, rounds: int) -> ClusterIds:
    """The clusters of the points (U, D) after `rounds` rounds of Lloyd's algorithm over all points."""
    centers = np.zeros((num_clusters, points.shape[1]), np.float32)
    for _ in range(rounds):
        centers = means(points, cluster_ids, centers)
        cluster_ids = nearest(points, centers)
    return cluster_ids
