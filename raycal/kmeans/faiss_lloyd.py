"""Lloyd's k-means by Faiss (Johnson et al. 2017), on a GPU if Faiss can use one.

With a GPU, Faiss searches for the nearest centers on the GPU and updates the centers on the CPU. This module has never
run on a GPU: its speed there is not measured, and nobody knows whether two calls on a GPU give the same ids. On a CPU,
two calls with the same seed and number of threads give the same ids.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from raycal.kmeans import ClusterIds, Points, gpu
from raycal.kmeans.backends import note

# A function that moves a Faiss index to the device that searches it.
Place = Callable[[Any], Any]
Result = TypeVar("Result")


def lloyd(points: Points, num_clusters: int, seed: int, iterations: int, *, spherical: bool = False) -> ClusterIds:
    """The id (U,) of the center nearest to each of the points (U, D), after `iterations` iterations.

    Args:
        points: The points must be contiguous.
        spherical: Whether centers are scaled to length one, and the nearest center is the center with the largest inner
            product.
    """
    return _on_gpu_or_cpu(
        lambda place: _search(
            _trained(points, num_clusters, seed, iterations, place, spherical=spherical).index, points
        )
    )


def centers(points: Points, num_clusters: int, seed: int, iterations: int) -> Points:
    """The centers (C, D) of the clusters that `lloyd` forms of the points (U, D) with the same arguments. Each point is
    in the cluster of its nearest center."""
    return _on_gpu_or_cpu(lambda place: np.array(_trained(points, num_clusters, seed, iterations, place).centroids))


def nearest(points: Points, centers: Points) -> ClusterIds:
    """The id (U,) of the center, among the centers (C, D), that is nearest to each of the points (U, D)."""
    import faiss

    def search(place: Place) -> ClusterIds:
        index = place(faiss.IndexFlatL2(centers.shape[1]))
        index.add(centers)
        return _search(index, points)

    return _on_gpu_or_cpu(search)


def _trained(
    points: Points, num_clusters: int, seed: int, iterations: int, place: Place, *, spherical: bool = False
) -> Any:
    """The k-means object of Faiss after its training on the points. Its index holds the centers."""
    import faiss

    num_points, width = points.shape
    quantizer = faiss.Kmeans(
        width,
        num_clusters,
        niter=iterations,
        seed=seed,
        spherical=spherical,
        # By default, Faiss trains on a sample of 256 points per cluster, and warns below 39 points per cluster.
        max_points_per_centroid=-(-num_points // num_clusters),
        min_points_per_centroid=1,
    )
    # The argument `gpu=1` of faiss.Kmeans is not used, because Faiss 1.15 takes 1 for True, which means all GPUs.
    quantizer.index = place(quantizer.index)
    quantizer.train(points)
    return quantizer


def _search(index: Any, points: Points) -> ClusterIds:
    _, nearest = index.search(points, 1)
    cluster_ids: ClusterIds = nearest[:, 0].astype(np.int64)
    return cluster_ids


def _on_gpu_or_cpu(cluster: Callable[[Place], Result]) -> Result:
    """The result of `cluster` on the first GPU, or on the CPU if there is no GPU or the GPU fails."""
    result = gpu.attempt("Faiss", lambda: cluster(_on_gpu)) if gpu.faiss_has_gpu() else None
    if result is not None:
        return result
    note("Faiss on the CPU")
    return cluster(lambda index: index)


def _on_gpu(index: Any) -> Any:
    """A copy of the index on the first visible GPU; its GPU memory is freed when the copy is deleted."""
    import faiss

    resources = faiss.StandardGpuResources()
    # Pinned memory only helps batches larger than 256 MB, and its allocation takes longer than a small clustering.
    resources.setPinnedMemory(0)
    return faiss.index_cpu_to_gpu(resources, 0, index)
