"""Lloyd's k-means by Faiss (Johnson et al. 2017), on a GPU where Faiss has one.

On a GPU Faiss searches for the nearest centers there, and updates the centers on the CPU. This has never run on a GPU:
neither its speed is measured, nor whether two calls there give the same ids. On a CPU two calls with the same seed and
number of threads do.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from raycal.kmeans import ClusterIds, Points, gpu
from raycal.kmeans.backends import note

# Places a Faiss index on the device that searches it.
Place = Callable[[Any], Any]


def lloyd(points: Points, num_clusters: int, seed: int, iterations: int, *, spherical: bool = False) -> ClusterIds:
    """The nearest center of each of the points (U, D), which are contiguous, after that many iterations.

    Args:
        spherical: Centers are scaled to length one, and the nearest is the one with the largest inner product.
    """
    import faiss

    num_points, width = points.shape

    def cluster(place: Place) -> ClusterIds:
        quantizer = faiss.Kmeans(
            width,
            num_clusters,
            niter=iterations,
            seed=seed,
            spherical=spherical,
            # Faiss would train on a sample of 256 points per cluster, and warn below 39.
            max_points_per_centroid=-(-num_points // num_clusters),
            min_points_per_centroid=1,
        )
        # Not `gpu=1`, which Faiss 1.15 takes for True: all GPUs.
        quantizer.index = place(quantizer.index)
        quantizer.train(points)
        return _search(quantizer.index, points)

    return _on_gpu_or_cpu(cluster)


def nearest(points: Points, centers: Points) -> ClusterIds:
    """The nearest of the centers (C, D) to each of the points (U, D)."""
    import faiss

    def search(place: Place) -> ClusterIds:
        index = place(faiss.IndexFlatL2(centers.shape[1]))
        index.add(centers)
        return _search(index, points)

    return _on_gpu_or_cpu(search)


def _search(index: Any, points: Points) -> ClusterIds:
    _, found = index.search(points, 1)
    cluster_ids: ClusterIds = found[:, 0].astype(np.int64)
    return cluster_ids


def _on_gpu_or_cpu(cluster: Callable[[Place], ClusterIds]) -> ClusterIds:
    """What `cluster` returns on the first GPU, or on the CPU where there is none or it fails."""
    found = gpu.attempt("Faiss", lambda: cluster(_on_gpu)) if gpu.faiss_has_gpu() else None
    if found is not None:
        return found
    note("Faiss on the CPU")
    return cluster(lambda index: index)


def _on_gpu(index: Any) -> Any:
    """A copy of the index on the first visible GPU; the GPU memory is freed with it."""
    import faiss

    resources = faiss.StandardGpuResources()
    # It serves only batches that are larger than 256 MB, and takes longer to allocate than small clusterings take.
    resources.setPinnedMemory(0)
    return faiss.index_cpu_to_gpu(resources, 0, index)
