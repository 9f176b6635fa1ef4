"""Clusterings on the GPU, where there is one; torch is imported only there.

One runs at a time in a process, as the format of products is a setting of the process; it has the memory to itself, and
gives it back for the trials that share the GPU.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from raycal.algorithm.clustering.protocol import ClusterIds
from raycal.algorithm.records import Floats

logger = logging.getLogger(__name__)

DEVICE = "cuda"
# NVIDIA's driver on Linux, and below Windows.
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
HIDDEN = ("", "-1", "NoDevFiles")
# What CUDA, torch and cuBLAS say when the memory of a GPU is taken.
SHORT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")
_one_at_a_time = Lock()


def lloyd(
    points: Floats, num_clusters: int, seed: int, iterations: int, *, spherical: bool = False
) -> ClusterIds | None:
    """`torch_kmeans.lloyd` on the GPU; None where there is none, or none with the memory for it."""
    if not has_gpu():
        return None
    from raycal import torch_kmeans

    return _run(lambda: torch_kmeans.lloyd(points, num_clusters, seed, iterations, spherical=spherical, device=DEVICE))


def refine(points: Floats, cluster_ids: ClusterIds, num_clusters: int, rounds: int) -> ClusterIds | None:
    """`torch_kmeans.refine` on the GPU; None where there is none, or none with the memory for it."""
    if not has_gpu():
        return None
    from raycal import torch_kmeans

    return _run(lambda: torch_kmeans.refine(points, cluster_ids, num_clusters, rounds, device=DEVICE))


def has_gpu() -> bool:
    """Whether torch can use a GPU; not asked where the machine has no driver, or the process may see none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in HIDDEN or not any(driver.exists() for driver in DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


def _run(cluster: Callable[[], ClusterIds]) -> ClusterIds | None:
    """Cluster when no other thread does; None, with a warning, where the memory of the GPU does not suffice."""
    import torch

    with _one_at_a_time:
        try:
            return cluster()
        except RuntimeError as error:
            if not any(words in str(error) for words in SHORT_OF_MEMORY):
                raise
            logger.warning("clustering runs on the CPU, as the GPU has too little free memory: %s", _first_line(error))
            return None
        finally:
            torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
