"""Compares k-means in Faiss with k-means in torch, from points on the host to cluster ids on the host.

The comparison decides whether k-means in torch stays in raycal. It stays only if it is at least twice as fast as Faiss
at equal inertia.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from threading import Event, Thread
from typing import Any

import torch

from raycal.algorithm.clustering import clusterings, inertia
from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import synchronized
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.kmeans import MOST_INERTIA
from raycal.bench.material import Options, embeddings
from raycal.bench.measure import interleaved
from raycal.kmeans.backends import noted

MOST_SECONDS = 0.05
# K-means in torch stays only if it is this many times as fast as Faiss.
LEAST_GAIN_OF_TORCH = 2.0
FAISS, TORCH = "kmeans", "torch_kmeans"
NAMES = (FAISS, TORCH, "two_level_kmeans")
SAMPLING_SECONDS = 0.0005


def clustering(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The seconds and the GPU memory of each clustering, and the ratios of seconds and of inertia on which the decision
    depends.

    The seconds are wall-clock seconds, because Faiss updates the centers on the CPU. The setting of a figure names the
    backend and the inertia of each clustering. If Faiss or torch did not run on the GPU, the ratios are reported
    without a goal, and they decide nothing.
    """
    points = embeddings(options, sizes.points)
    cluster_ids_of: dict[str, Any] = {}
    arms: dict[str, Callable[[], object]] = {
        name: (lambda name=name: cluster_ids_of.update({name: clusterings[name](points, sizes.clusters, 0)}))  # type: ignore[misc]
        for name in NAMES
    }
    backends: dict[str, list[str]] = {}
    for name, arm in arms.items():
        with noted() as used:
            arm()
        backends[name] = sorted(used)
    durations = interleaved(arms, options.repeats, synchronized)
    seconds = {name: median(durations[name]) for name in NAMES}
    loss = {name: inertia(points, cluster_ids) for name, cluster_ids in cluster_ids_of.items()}
    setting = {
        "count": sizes.points,
        "clusters": sizes.clusters,
        "iterations": 40,
        "inertia": loss,
        "arms": "wall s",
        "backends": backends,
    }

    decides = backends[FAISS] == ["Faiss on the GPU"] and backends[TORCH] == ["torch on the GPU"]
    gain, equal = (Goal(">=", LEAST_GAIN_OF_TORCH), Goal("<=", MOST_INERTIA)) if decides else (None, None)

    def figure(name: str, value: float, goal: Goal | None = None, unit: str = "x", **more: Any) -> Figure:
        return Figure(benchmark="gpu kmeans", name=name, value=value, unit=unit, goal=goal, setting=setting, **more)

    for name in NAMES:
        yield figure(name, seconds[name], unit="s", arms={name: durations[name]})
    yield figure("best of Faiss and torch", min(seconds[FAISS], seconds[TORCH]), Goal("<=", MOST_SECONDS), "s")
    yield figure("wall, Faiss / torch (torch stays if both goals are met)", seconds[FAISS] / seconds[TORCH], gain)
    yield figure("inertia, torch / Faiss (second goal)", loss[TORCH] / loss[FAISS], equal)
    if torch.cuda.is_available():
        for name in (FAISS, TORCH):
            yield figure(f"GPU memory, {name}", peak_gpu_bytes(arms[name]) / 2**20, unit="MiB")


def peak_gpu_bytes(call: Callable[[], object]) -> int:
    """The largest number of bytes of GPU memory that a call uses, whichever library allocates them.

    The result is the drop of the device's free memory, which is sampled while the call runs, so no other process may
    use the GPU meanwhile.
    """
    torch.cuda.empty_cache()
    before, _ = torch.cuda.mem_get_info()
    least, is_over = before, Event()

    def look() -> None:
        nonlocal least
        while not is_over.is_set():
            least = min(least, torch.cuda.mem_get_info()[0])
            time.sleep(SAMPLING_SECONDS)

    looking = Thread(target=look)
    looking.start()
    try:
        call()
    finally:
        is_over.set()
        looking.join()
    return before - least
