"""K-means on whitened embeddings, in which every direction has the same weight."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.clustering.protocol import Iterations, clusterings, finite_points
from raycal.algorithm.records import Floats
from raycal.kmeans import ClusterIds
from raycal.kmeans.faiss_lloyd import lloyd

# A direction is kept if its variance is at least this share of the largest variance. Smaller variances are rounding
# errors, which whitening would amplify.
_LEAST_VARIANCE = 1e-9


@clusterings("whitened_kmeans")
def whitened_kmeans(
    embeddings: Floats,
    num_clusters: int,
    seed: int,
    *,
    dimensions: Annotated[int, Ge(1), Le(10**6)] = 64,
    iterations: Iterations = 40,
) -> ClusterIds:
    """K-means on the principal components, each scaled to variance one (PCA whitening; Jégou, Chum 2012).

    Args:
        dimensions: Number of components to keep. The components with the largest variance are kept; if there are fewer,
            all are kept.
    """
    return lloyd(whitened(finite_points(embeddings), dimensions), num_clusters, seed, iterations)


def whitened(embeddings: Floats, dimensions: int) -> Floats:
    """The first principal components (U, d), uncorrelated and with variance one; a column of zeros if there is no
    component."""
    points = embeddings - embeddings.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(points.T @ points / len(points))  # The eigenvalues are in ascending order.
    kept = variances[-dimensions:] > max(_LEAST_VARIANCE * float(variances[-1]), np.finfo(np.float64).tiny)
    if not kept.any():
        return np.zeros((len(points), 1), np.float32)
    scaled = directions[:, -dimensions:][:, kept] / np.sqrt(variances[-dimensions:][kept])
    return np.ascontiguousarray(points @ scaled, dtype=np.float32)
