"""Lloyd's k-means by Faiss."""

import numpy as np

from raycal.algorithm.clustering.protocol import ClusterIds, Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats


@clusterings("faiss_kmeans")
def faiss_kmeans(embeddings: Floats, num_clusters: int, seed: int, *, iterations: Iterations = 40) -> ClusterIds:
    """`kmeans` by Faiss on a GPU too, if Faiss sees one: it searches there, and updates the centres on the CPU."""
    import faiss

    points = finite_points(embeddings)
    return lloyd_by_faiss(points, num_clusters, seed, iterations, gpu=faiss.get_num_gpus() > 0)


def lloyd_by_faiss(
    points: Floats, num_clusters: int, seed: int, iterations: int, *, spherical: bool = False, gpu: bool = False
) -> ClusterIds:
    """The nearest centre of each of the points (U, D), which are contiguous, after that many iterations."""
    import faiss

    num_points, width = points.shape
    quantizer = faiss.Kmeans(
        width,
        num_clusters,
        niter=iterations,
        seed=seed,
        spherical=spherical,
        gpu=gpu,
        # Faiss would train on a sample of 256 points per cluster, and warn below 39.
        max_points_per_centroid=-(-num_points // num_clusters),
        min_points_per_centroid=1,
    )
    quantizer.train(points)
    _, nearest = quantizer.index.search(points, 1)
    cluster_ids: ClusterIds = nearest[:, 0].astype(np.int64)
    return cluster_ids
