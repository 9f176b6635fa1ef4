"""K-means in two levels, for many clusters of many points."""

from math import isqrt
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.clustering.lloyd import lloyd
from raycal.algorithm.clustering.means import means
from raycal.algorithm.clustering.protocol import ClusterIds, Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats


@clusterings("two_level_kmeans")
def two_level_kmeans(
    embeddings: Floats,
    num_clusters: int,
    seed: int,
    *,
    iterations: Iterations = 40,
    rounds: Annotated[int, Ge(0), Le(10**6)] = 4,
) -> ClusterIds:
    """K-means of about sqrt(C) coarse cells, k-means in each of them, then rounds of Lloyd's algorithm over all points.

    Close to `kmeans` for a fraction of its distances: of U C `iterations` about 2 U sqrt(C) `iterations` + U C
    `rounds`. Its inertia is within 1 % where clusters have about nine points or more, and farther off where they have
    fewer. The same seed and number of threads give the same clusters on a CPU, the same seed on a GPU, which runs
    everything but the sharing out among the cells; there each cell takes its time however small it is, so that `kmeans`
    is the faster one unless the points are very many.

    Args:
        iterations: Of both levels.
        rounds: How often the clusters of all cells together are given their means, and the points the nearest of those.
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
    return _refined(points, cluster_ids, num_clusters, rounds) if rounds else cluster_ids


def shares(sizes: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """How many of `total` clusters each cell gets, in proportion to its size.

    A cell that is not empty gets at least one, and none more than it has points. What rounding down leaves goes to the
    largest fractions, equal ones in order.

    Args:
        sizes: Of the cells; `total` is at least the number of those with points, and at most the number of points.
    """
    least = (sizes > 0).astype(np.int64)
    others, left = sizes - least, total - int(least.sum())
    whole, fractions = np.divmod(left * others, max(1, int(others.sum())))
    rest = left - int(whole.sum())
    whole[np.argsort(-fractions, kind="stable")[:rest]] += 1
    return least + whole


def _refined(points: Floats, cluster_ids: ClusterIds, num_clusters: int, rounds: int) -> ClusterIds:
    """The clusters of the points (U, D) after that many rounds over all of them, at least one."""
    from raycal import gpu_kmeans

    found = gpu_kmeans.refine(points, cluster_ids, num_clusters, rounds)
    if found is not None:
        return found
    centers = np.zeros((num_clusters, points.shape[1]), np.float32)
    for _ in range(rounds):
        centers = means(points, cluster_ids, centers)
        cluster_ids = _nearest(points, centers)
    return cluster_ids


def _nearest(points: Floats, centers: Floats) -> ClusterIds:
    """The nearest of the centres (C, D) to each of the points (U, D)."""
    import faiss

    index: faiss.Index = faiss.IndexFlatL2(centers.shape[1])
    index.add(centers)
    _, nearest = index.search(points, 1)
    found: ClusterIds = nearest[:, 0].astype(np.int64)
    return found
