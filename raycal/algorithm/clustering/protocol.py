"""What a clustering is to the loop, and the registry of the clusterings a YAML may name."""

from typing import Annotated, Protocol

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.records import Floats
from raycal.errors import DivergedError
from raycal.kmeans import ClusterIds
from raycal.registry import Registry

Iterations = Annotated[int, Ge(1), Le(10**6)]


class Clustering(Protocol):
    """Cluster ids (U,) int64 in [0, num_clusters) of embeddings (U, D); ids may be unused, `num_clusters` <= U.

    Raises:
        DivergedError: An embedding is not finite; `finite_points` says so.
    """

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> ClusterIds: ...


clusterings: Registry[Clustering] = Registry("clustering")


def finite_points(embeddings: Floats) -> Floats:
    """The embeddings (U, D) as contiguous float32, which every clustering begins with.

    Raises:
        DivergedError: One is not a finite number in float32: distances to it mean nothing.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.ascontiguousarray(embeddings, dtype=np.float32)
        finite = np.isfinite(points.sum(axis=1, dtype=np.float64))
    if not finite.all():
        raise DivergedError(
            f"clustering: {np.count_nonzero(~finite):,} of {len(points):,} embeddings have a value that is NaN or "
            f"infinite, the first in row {int(finite.argmin())}: they cannot be clustered"
        )
    return points
