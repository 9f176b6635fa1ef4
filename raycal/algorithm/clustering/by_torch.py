"""Lloyd's k-means in torch."""

from raycal.algorithm.clustering.protocol import Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds, faiss_lloyd, gpu


@clusterings("torch_kmeans")
def torch_kmeans(embeddings: Floats, num_clusters: int, seed: int, *, iterations: Iterations = 40) -> ClusterIds:
    """Lloyd's k-means in torch on a GPU. If torch has no GPU or too little GPU memory, the Faiss clustering `kmeans`
    runs instead.

    Unlike Faiss, this clustering also updates the centers on the GPU. Its speed on a GPU has not been measured yet.
    """
    points = finite_points(embeddings)
    if gpu.torch_has_gpu():
        from raycal.kmeans import torch_lloyd

        def on_gpu() -> ClusterIds:
            return torch_lloyd.lloyd(points, num_clusters, seed, iterations, device="cuda")

        cluster_ids = gpu.attempt("torch", on_gpu)
        if cluster_ids is not None:
            return cluster_ids
    return faiss_lloyd.lloyd(points, num_clusters, seed, iterations)
