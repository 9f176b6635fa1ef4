"""TypiClust: typical samples of the clusters in which nothing is annotated."""

from typing import Annotated

import numpy as np
from annotated_types import Ge

from raycal.algorithm.acquisition.distances import blocks, normalised, squared_distances
from raycal.algorithm.acquisition.selection import acquisitions
from raycal.algorithm.acquisition.view import View
from raycal.algorithm.clustering import kmeans
from raycal.algorithm.records import Floats, Indices

Positive = Annotated[int, Ge(1)]


@acquisitions("typiclust")
def typiclust(
    view: View, budget: int, /, *, max_clusters: Positive = 500, neighbors: Positive = 20, smallest: Positive = 6
) -> Indices:
    """TypiClust (Hacohen, Dekel, Weinshall 2022): from the largest clusters with the fewest annotations, the typical.

    All features, at length one, are clustered into as many clusters as there are annotated samples and samples to ask
    for. In turn, and again as long as the budget lasts, each cluster gives the sample with the smallest mean distance
    to its neighbours in the cluster, annotated and asked ones apart. Clusters of fewer than `smallest` samples come
    last. The paper clusters self-supervised features; these are the asking model's.

    Args:
        max_clusters: However many are annotated.
        neighbors: How many of the nearest count, or all when the cluster has fewer.
    """
    annotated, indices = view.annotated().embeddings, view.predictions.indices
    points = normalised(np.concatenate([view.predictions.embeddings, annotated]))
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
    """Mean distance (m,) of each of m points to its nearest others; 0 of a point by itself."""
    count = min(neighbors, len(points) - 1)
    if not count:
        return np.zeros(len(points), np.float32)
    means = np.empty(len(points), np.float32)
    for rows in blocks(len(points), len(points)):
        table = squared_distances(points[rows], points)
        table[np.arange(len(table)), np.arange(rows.start, rows.stop)] = np.inf
        means[rows] = np.sqrt(np.partition(table, count - 1, axis=1)[:, :count]).mean(axis=1)
    return means
