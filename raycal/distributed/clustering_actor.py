"""Clusters for all trials of a sweep, on a share of a GPU or on the cores of the trials that wait for the result."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import ray

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.records import Floats
from raycal.capacity.allocate import ClusteringShare
from raycal.capacity.gpu_shares import hide_gpus
from raycal.distributed.plugins_on_nodes import load_here
from raycal.kmeans.backends import noted
from raycal.plugins import Plugin

NODE_ID = "ray.io/node-id"
# This concurrency group has one thread, which answers `end_if_stuck` while the actor's other threads cluster.
PROBE_GROUP = "look"


class ClusteringService:
    """Runs any registered clustering. The service keeps no data between calls, and it ends its process if a call never
    ends.

    Args:
        threads: Threads that Faiss uses in each call.
        use_gpu: Whether the service was given a share of a GPU.
        plugins: Plug-ins that may define the clustering. The plug-ins are imported by the first call, so that the
            caller gets an error of an import.
    """

    def __init__(self, threads: int, *, use_gpu: bool = False, plugins: Sequence[Plugin] = ()) -> None:
        self._threads, self._plugins = threads, plugins
        self._loading = Lock()
        # For each running call, the monotonic time from which the call counts as stuck.
        self._limits: dict[object, float] = {}
        if not use_gpu:
            hide_gpus()

    def cluster(
        self,
        name: str,
        options: Mapping[str, Any],
        embeddings: Floats,
        num_clusters: int,
        seed: int,
        patience_seconds: float,
    ) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
        """Cluster ids (U,) of embeddings (U, D), and the backends that found them, in the words of `raycal.kmeans`.

        A call without a result after `patience_seconds` counts as stuck.
        """
        import faiss

        with self._loading:
            load_here(self._plugins)
        faiss.omp_set_num_threads(self._threads)  # Faiss keeps the number of threads per calling thread.
        with self._under_way(patience_seconds), noted() as backends:
            cluster_ids = clusterings[name](embeddings, num_clusters, seed, **options)
        return cluster_ids, tuple(backends)

    def end_if_stuck(self) -> None:
        """End this process if a call in it is stuck, because there is no other way to end a thread. Ray then starts
        another process."""
        now = time.monotonic()
        if any(limit < now for limit in tuple(self._limits.values())):
            os._exit(1)

    @contextmanager
    def _under_way(self, patience_seconds: float) -> Iterator[None]:
        call = object()
        self._limits[call] = time.monotonic() + patience_seconds
        try:
            yield
        finally:
            del self._limits[call]


def start_clusterings(shares: Sequence[ClusteringShare], plugins: Sequence[Plugin] = ()) -> dict[str, Any]:
    """The clustering actors of a sweep, by the node on which each was placed; an actor whose node dies moves to another
    node."""
    return {share.node_id: _start(share, plugins) for share in shares}


def nearest(clusterings: Mapping[str, Any], experiment_id: str) -> Any:
    """The clustering actor on this node. If this node has no such actor, another actor is chosen by the experiment id
    alone."""
    here = clusterings.get(ray.get_runtime_context().get_node_id())
    return here or list(clusterings.values())[crc32(experiment_id.encode()) % len(clusterings)]


def _start(share: ClusteringShare, plugins: Sequence[Plugin]) -> Any:
    remote: Any = ray.remote  # The type annotations of `ray.remote` leave out concurrency groups.
    actor = remote(concurrency_groups={PROBE_GROUP: 1})(ClusteringService).options(
        num_cpus=0,
        num_gpus=share.gpus,
        max_concurrency=share.concurrency,
        max_restarts=-1,
        # The caller retries and counts the tries. Ray 2.60 would retry a call that runs out of memory forever.
        max_task_retries=0,
        # A soft NodeAffinitySchedulingStrategy is not used. Ray 2.60 ignores this strategy for an actor that asks for
        # no resources.
        label_selector={NODE_ID: share.node_id} if share.node_id else None,
        fallback_strategy=[{"label_selector": {}}],
    )
    return actor.remote(share.threads, use_gpu=share.gpus > 0, plugins=plugins)
