"""Clusterings of the unlabelled samples' embeddings.

`@clusterings("name")` on a function `(embeddings, num_clusters, seed, *, options) -> cluster ids (U,)`.
Faiss is imported when a clustering runs.
"""

from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.records import Floats
from raycal.registry import Registry


class Clustering(Protocol):
    """Cluster ids (U,) int64 in [0, num_clusters) of embeddings (U, D); ids may be unused, `num_clusters` <= U."""

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]: ...


clusterings: Registry[Clustering] = Registry("clustering")


@clusterings("kmeans")
def kmeans(
    embeddings: Floats, num_clusters: int, seed: int, *, iterations: Annotated[int, Ge(1), Le(10**6)] = 40
) -> npt.NDArray[np.int64]:
    """Lloyd's k-means by Faiss (Johnson et al. 2017) on all points, seeded; on a GPU when Faiss sees one.

    The same seed gives the same clusters for any number of threads.
    """
    import faiss

    points = np.ascontiguousarray(embeddings, dtype=np.float32)
    num_points, width = points.shape
    quantizer = faiss.Kmeans(
        width,
        num_clusters,
        niter=iterations,
        seed=seed,
        gpu=faiss.get_num_gpus() > 0,
        # Faiss would train on a sample of 256 points per cluster, and warn below 39.
        max_points_per_centroid=-(-num_points // num_clusters),
        min_points_per_centroid=1,
    )
    quantizer.train(points)
    _, nearest = quantizer.index.search(points, 1)
    cluster_ids: npt.NDArray[np.int64] = nearest[:, 0].astype(np.int64)
    return cluster_ids
