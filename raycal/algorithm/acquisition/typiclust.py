"""TypiClust: typical samples of the clusters that have no annotated sample."""

from typing import Annotated

import numpy as np
from annotated_types import Ge

from raycal.algorithm.acquisition.distances import blocks, normalized, squared_distances
from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import acquisitions
from raycal.algorithm.clustering import kmeans
from raycal.algorithm.records import Floats, Indices

Positive = Annotated[int, Ge(1)]


@acquisitions("typiclust")
def typiclust(
    view: QueryContext,
    budget: int,
    /,
    *,
    max_clusters: Positive = 500,
    neighbors: Positive = 20,
    smallest: Positive = 6,
) -> Indices:
    """TypiClust (Hacohen, Dekel, Weinshall 2022): typical samples of the largest clusters with the fewest annotations.

    All features are scaled to length one and clustered. The number of clusters is the number of annotated samples
    plus the budget. The clusters take turns until the budget is spent. In its turn, a cluster gives its most typical
    sample: the one with the smallest mean distance to its nearest neighbors in the cluster. Samples that are annotated
    or already chosen are left out; they do not count as neighbors either. Clusters of fewer than `smallest` samples
    come last. The paper clusters self-supervised features; this function clusters the features of the feature model
    or, without one, of the query model.

    Args:
        max_clusters: Largest number of clusters, however many samples are annotated.
        neighbors: Number of nearest neighbors over which the mean distance is taken. A sample of a smaller cluster has
            all other samples of its cluster as neighbors.
        smallest: A cluster with fewer samples than this comes last.
    """
    annotated, indices = view.annotated().features, view.predictions.indices
    points = normalized(np.concatenate([view.predictions.features, annotated]))
    num_clusters = min(len(annotated) + budget, max_clusters, len(points))
    cluster_ids = kmeans(points, num_clusters, int(view.rng.integers(2**31)))
    sizes = np.bincount(cluster_ids, minlength=num_clusters)
    covered = np.bincount(cluster_ids[len(indices) :], minlength=num_clusters)
    left = [np.flatnonzero(cluster_ids[: len(indices)] == cluster) for cluster in range(num_clusters)]

    order = np.lexsort((-sizes, covered))
    rows: list[int] = []
    for turn in (order[sizes[order] >= smallest], order[sizes[order] < smallest]):
        while len(rows) < budget and any(len(left[cluster]) for cluster in turn):
            for cluster in turn:
                members = left[cluster]
                if len(members) and len(rows) < budget:
                    best = int(_mean_distances(points[members], neighbors).argmin())
                    rows.append(int(members[best]))
                    left[cluster] = np.delete(members, best)
    return indices[rows]


def _mean_distances(points: Floats, neighbors: int) -> Floats:
    """Mean distance (m,) of each of m points to its `neighbors` nearest others; 0 for a point that is alone."""
    count = min(neighbors, len(points) - 1)
    if not count:
        return np.zeros(len(points), np.float32)
    means = np.empty(len(points), np.float32)
    for rows in blocks(len(points), len(points)):
        table = squared_distances(points[rows], points)
        table[np.arange(len(table)), np.arange(rows.start, rows.stop)] = np.inf
        means[rows] = np.sqrt(np.partition(table, count - 1, axis=1)[:, :count]).mean(axis=1)
    return means
