"""K-means whose centers are trained on a sample of the points, for pools of many millions of points.

Only the sample and one block of points at a time are copied, so the embeddings may be a memory-mapped file of any
floating-point type. The three steps (`sample_rows`, `faiss_lloyd.centers`, `assigned`) can also run on different
machines, each of which has a part of the pool.
"""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.clustering.protocol import Iterations, as_points, clusterings, refuse_unless
from raycal.algorithm.records import Floats, Indices
from raycal.kmeans import ClusterIds
from raycal.kmeans.faiss_lloyd import centers, nearest

PointsPerCentroid = Annotated[int, Ge(1), Le(10**6)]
POINTS_PER_CENTROID = 256
# The points are assigned in blocks of this many. Faiss may round a distance differently in a block of another size, so
# parts of a pool give the same ids as the whole pool only if they begin at a multiple of this number.
BLOCK_ROWS = 2**16


@clusterings("sampled_kmeans")
def sampled_kmeans(
    embeddings: Floats,
    num_clusters: int,
    seed: int,
    *,
    iterations: Iterations = 40,
    points_per_centroid: PointsPerCentroid = POINTS_PER_CENTROID,
) -> ClusterIds:
    """K-means on a sample of `points_per_centroid` points per cluster. Then each point of the pool is assigned to the
    nearest center.

    If the sample would be larger than the pool, it is the whole pool, and the clusters are those of `kmeans`.
    Otherwise, the training takes the same time whatever the size of the pool is, and each point of the pool costs one
    comparison with each center. `raycal/bench/README.md` compares the inertia with that of `kmeans`.
    """
    rows = sample_rows(len(embeddings), points_per_centroid * num_clusters, seed)
    sample, finite = as_points(embeddings[rows])
    if not finite.all():
        refuse_unless(finite_rows(embeddings))
    return assigned(embeddings, centers(sample, num_clusters, seed, iterations))


def assigned(embeddings: Floats, trained: Floats) -> ClusterIds:
    """The id (U,) of the center, among the trained centers (C, D), that is nearest to each of the embeddings (U, D).

    Raises:
        DivergedError: An embedding is not finite.
    """
    cluster_ids = np.empty(len(embeddings), np.int64)
    for block in blocks(len(embeddings)):
        points, finite = as_points(embeddings[block])
        if not finite.all():
            refuse_unless(finite_rows(embeddings))
        cluster_ids[block] = nearest(points, trained)
    return cluster_ids


def finite_rows(embeddings: Floats) -> npt.NDArray[np.bool_]:
    """For each of the embeddings (U, D), whether all its values are finite."""
    return np.concatenate([as_points(embeddings[block])[1] for block in blocks(len(embeddings))])


def blocks(num_rows: int) -> Iterator[slice]:
    """The blocks of `BLOCK_ROWS` consecutive rows, of which the last may be shorter."""
    for begin in range(0, num_rows, BLOCK_ROWS):
        yield slice(begin, min(begin + BLOCK_ROWS, num_rows))


def sample_rows(num_rows: int, count: int, seed: int) -> Indices:
    """The rows of the sample in ascending order: one random row of each of `count` equal parts of all rows, or all rows
    if there are no more than `count`.

    Unlike a draw from all rows, this takes no memory for the rows that are not drawn. It also draws equally often from
    each part of a pool that is sorted by class or by date.
    """
    if count >= num_rows:
        return np.arange(num_rows)
    edges = np.arange(count + 1) * num_rows // count
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])
