"""Spherical k-means, which compares embeddings by direction alone."""

from raycal.algorithm.clustering.protocol import Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds
from raycal.kmeans.faiss_lloyd import lloyd


@clusterings("spherical_kmeans")
def spherical_kmeans(embeddings: Floats, num_clusters: int, seed: int, *, iterations: Iterations = 40) -> ClusterIds:
    """Spherical k-means (Dhillon, Modha 2001): all points and centers have length one, and are compared by cosine."""
    import faiss

    points = finite_points(embeddings).copy()
    faiss.normalize_L2(points)  # This function leaves a point at the origin unchanged.
    return lloyd(points, num_clusters, seed, iterations, spherical=True)
