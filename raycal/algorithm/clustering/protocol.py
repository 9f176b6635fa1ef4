"""What a clustering is to the loop, and the registry of the clusterings a YAML may name."""

from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from raycal.algorithm.records import Floats
from raycal.registry import Registry

ClusterIds = npt.NDArray[np.int64]
Iterations = Annotated[int, Ge(1), Le(10**6)]


class Clustering(Protocol):
    """Cluster ids (U,) int64 in [0, num_clusters) of embeddings (U, D); ids may be unused, `num_clusters` <= U."""

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> ClusterIds: ...


clusterings: Registry[Clustering] = Registry("clustering")
