"""Lloyd's k-means, the paper's clustering."""

from raycal.algorithm.clustering.by_faiss import lloyd_by_faiss
from raycal.algorithm.clustering.protocol import ClusterIds, Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats


@clusterings("kmeans")
def kmeans(embeddings: Floats, num_clusters: int, seed: int, *, iterations: Iterations = 40) -> ClusterIds:
    """Lloyd's k-means on all points, seeded; by Faiss (Johnson et al. 2017) on a CPU, by torch where there is a GPU.

    The same seed and number of threads give the same clusters on a CPU, the same seed on a GPU; not both the same.
    """
    return lloyd(finite_points(embeddings), num_clusters, seed, iterations)


def lloyd(points: Floats, num_clusters: int, seed: int, iterations: int, *, spherical: bool = False) -> ClusterIds:
    """The nearest centre of each of the points (U, D), which are contiguous, after that many iterations.

    Args:
        spherical: Centres are brought to length one, and the nearest is that with the largest inner product.
    """
    from raycal import gpu_kmeans

    found = gpu_kmeans.lloyd(points, num_clusters, seed, iterations, spherical=spherical)
    return lloyd_by_faiss(points, num_clusters, seed, iterations, spherical=spherical) if found is None else found
