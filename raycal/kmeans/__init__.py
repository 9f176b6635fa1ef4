"""K-means on arrays of points, which returns cluster ids. This package does not use experiments, registries or the
configuration.

Every clustering except `torch_kmeans` uses `faiss_lloyd`, on a GPU if Faiss can use one. Only `torch_kmeans` uses
`torch_lloyd`. `gpu` decides whether a GPU can be used, and handles its failures.
"""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
ClusterIds = npt.NDArray[np.int64]
