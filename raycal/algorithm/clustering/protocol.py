"""The interface of a clustering, and the registry of the clusterings that a YAML file may name."""

from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
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
    points, finite = as_points(embeddings)
    refuse_unless(finite)
    return points


def as_points(embeddings: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The embeddings (U, D) as contiguous float32, and for each of them (U,) whether all its values are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.ascontiguousarray(embeddings, dtype=np.float32)
        return points, np.isfinite(points.sum(axis=1, dtype=np.float64))


def refuse_unless(finite: npt.NDArray[np.bool_]) -> None:
    """Raise an error that counts the embeddings that are not finite, unless all of them are.

    Args:
        finite: (U,) For each embedding, whether all its values are finite.

    Raises:
        DivergedError: At least one embedding is not finite.
    """
    if not finite.all():
        raise DivergedError(
            f"clustering: {np.count_nonzero(~finite):,} of {len(finite):,} embeddings have a value that is NaN or "
            f"infinite, the first in row {int(finite.argmin())}: they cannot be clustered"
        )
