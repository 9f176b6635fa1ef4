"""The interface of a clustering, and the registry of the clusterings that a YAML file may name."""

from typing import Annotated, Protocol

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.records import Floats
from raycal.errors import DivergedError
from raycal.kmeans import ClusterIds
from raycal.registry import Registry

Iterations = Annotated[int, Ge(1), Le(10**6)]


class Clustering(Protocol):
    """Assigns embeddings (U, D) to clusters: ids (U,) int64 in [0, num_clusters), of which some may be unused.

    `num_clusters` is at most U.

    Raises:
        DivergedError: An embedding is not finite. A clustering that calls `finite_points` raises this error.
    """

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> ClusterIds: ...


clusterings: Registry[Clustering] = Registry("clustering")


def finite_points(embeddings: Floats) -> Floats:
    """The embeddings (U, D) as contiguous float32; every clustering begins by calling this function.

    Raises:
        DivergedError: An embedding has a value that is not finite in float32, so distances to it are meaningless.
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
