"""K-means on arrays: points in, cluster ids out. It knows no experiment, registry or configuration.

`faiss_lloyd` is what every clustering uses, on a GPU where Faiss has one. `torch_lloyd` runs only under its own name.
`gpu` decides whether a GPU can be used, and what happens when it fails.
"""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
ClusterIds = npt.NDArray[np.int64]
