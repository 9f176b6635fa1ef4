"""Decides whether k-means can use a GPU, and handles failures of the GPU.

In a process, only one clustering at a time runs on a GPU, for two reasons. No other clustering takes its GPU memory,
and the number format of torch's matrix products is a setting of the whole process. Afterwards the GPU memory is freed
for the trials that share the GPU.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TypeVar

from raycal.errors import one_line, shortened
from raycal.kmeans.backends import note

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Device files of NVIDIA's driver: on Linux, and on Linux inside Windows (WSL).
DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
HIDDEN = ("", "-1", "NoDevFiles")
PROBE_SECONDS = 120.0
REASON_LENGTH = 300
# The probe searches with as little memory as possible, so that it also works while trials use the GPU.
PROBE = """
import faiss
if not faiss.get_num_gpus():
    raise SystemExit("it sees no GPU")
import numpy
resources = faiss.StandardGpuResources()
resources.noTempMemory()
resources.setPinnedMemory(0)
index = faiss.index_cpu_to_gpu(resources, 0, faiss.IndexFlatL2(4))
points = numpy.eye(4, dtype="float32")
index.add(points)
nearest = index.search(points, 1)[1][:, 0].tolist()
if nearest != [0, 1, 2, 3]:
    raise SystemExit(f"a search on the GPU gives wrong neighbors: {nearest}")
"""
_one_at_a_time = Lock()
_warned: set[str] = set()


def is_visible() -> bool:
    """Whether the machine has an NVIDIA driver and this process may use the GPUs. The check imports no library."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in HIDDEN and any(driver.exists() for driver in DRIVERS)


def torch_has_gpu() -> bool:
    """Whether torch can use a GPU. torch is imported only if the machine may have a GPU."""
    if not is_visible():
        return False
    import torch

    return torch.cuda.is_available()


@cache
def faiss_has_gpu() -> bool:
    """Whether Faiss can use a GPU, checked once per process. The check warns if the machine has a GPU that Faiss cannot
    use."""
    if not is_visible():
        return False
    problem = faiss_problem()
    if problem:
        logger.warning(
            "clustering runs on the CPU, because Faiss cannot use the GPU: %s; python -m raycal.doctor says what to do",
            problem,
        )
    return not problem


def faiss_problem() -> str:
    """The reason why Faiss cannot use the visible GPU; empty when a search on the GPU works.

    The search runs in a separate process, because Faiss ends the process at most CUDA errors.
    """
    if not is_gpu_build():
        return "it is built without GPU support"
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"a search on the GPU does not end within {PROBE_SECONDS:g} s"
    if probe.returncode == 0:
        return ""
    said = probe.stderr.strip().splitlines() or [f"a search on the GPU ends with exit code {probe.returncode}"]
    return shortened(said[-1], REASON_LENGTH)


def is_gpu_build() -> bool:
    """Whether the installed Faiss is built with GPU support."""
    import faiss

    return "GPU" in faiss.get_compile_options().split()


def attempt(library: str, cluster: Callable[[], Result]) -> Result | None:
    """Cluster on the GPU while no other thread does, and return the result. It is None if the GPU fails, for example
    for lack of memory.

    The first failure of each library in a process causes a warning.
    """
    with _one_at_a_time:
        _free_torch_cache()
        try:
            result = cluster()
        except RuntimeError as error:
            reason = shortened(one_line(error), REASON_LENGTH)
        else:
            note(f"{library} on the GPU")
            return result
        finally:
            _free_torch_cache()
    if library not in _warned:
        _warned.add(library)
        logger.warning("%s failed on the GPU, so clustering falls back to the CPU: %s", library, reason)
    return None


def _free_torch_cache() -> None:
    """Free the GPU memory that torch caches for its next tensors, which Faiss and other processes cannot use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
