"""K-means on arrays of points, which returns cluster ids. This package does not use experiments, registries or the
configuration.

Every clustering except `torch_kmeans` uses `faiss_lloyd`, on a GPU if Faiss can use one. Only `torch_kmeans` uses
`torch_lloyd`. `gpu` decides whether a GPU can be used, and handles its failures.

Importing this package sets how long the threads of Faiss wait for each other with a busy core, unless the environment
sets it already. The results are the same. GNU's OpenMP reads this when Faiss is loaded, which is why it is set here and
not by the code that clusters.
"""

import os

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
ClusterIds = npt.NDArray[np.int64]

# By default, a waiting thread of GNU's OpenMP checks 300,000 times whether it may go on before it sleeps, which keeps a
# core busy for milliseconds. When another program needs this core, the thread that everybody waits for gets less of it:
# k-means then takes about twice the CPU time and up to five times the time. 10,000 checks take about 0.2 ms, which is
# enough for threads that share short operations.
SPIN_COUNT = "GOMP_SPINCOUNT"
_CHECKS_BEFORE_SLEEP = "10000"

if SPIN_COUNT not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
    os.environ[SPIN_COUNT] = _CHECKS_BEFORE_SLEEP
