"""Lloyd's k-means, the paper's clustering."""

from raycal.algorithm.clustering.protocol import Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds, faiss_lloyd


@clusterings("faiss_kmeans")
@clusterings("kmeans")
def kmeans(embeddings: Floats, num_clusters: int, seed: int, *, iterations: Iterations = 40) -> ClusterIds:
    """Lloyd's k-means by Faiss on all points, with a seed. It runs on a GPU if Faiss can use one, and otherwise on the
    CPU.

    On a CPU the same seed and number of threads give the same clusters. A GPU gives other clusters than a CPU.
    """
    return faiss_lloyd.lloyd(finite_points(embeddings), num_clusters, seed, iterations)
