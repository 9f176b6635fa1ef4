"""Clustering for all trials of a sweep: Faiss on a share of a GPU, or on the cores of the trials that wait for it."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import ray
from ray.exceptions import ActorUnavailableError, ObjectLostError, RayActorError

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.records import Floats
from raycal.distributed.resources import ClusteringShare
from raycal.errors import InfrastructureError

NODE_ID = "ray.io/node-id"
# An actor whose node died is elsewhere after about 20 s, of which Ray needs most to notice.
MOVE_SECONDS = 120.0


class ClusteringService:
    """Runs any registered clustering; keeps nothing between calls.

    Args:
        threads: Of Faiss for each call.
        use_gpu: Whether the service was given a share of a GPU.
    """

    def __init__(self, threads: int, *, use_gpu: bool = False) -> None:
        self._threads = threads
        if not use_gpu:
            hide_gpus()

    def cluster(
        self, name: str, options: dict[str, Any], embeddings: Floats, num_clusters: int, seed: int
    ) -> npt.NDArray[np.int64]:
        """Cluster ids (U,) of embeddings (U, D)."""
        import faiss

        faiss.omp_set_num_threads(self._threads)  # of the calling thread only
        return clusterings[name](embeddings, num_clusters, seed, **options)


def hide_gpus() -> None:
    """Keep a process that was given no GPU off those of its node; Ray 2.60 shows it all of them."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def start_clusterings(shares: Sequence[ClusteringShare]) -> dict[str, Any]:
    """The clustering actors of a sweep, by the node each was put on; one whose node dies moves to another."""
    return {share.node_id: _start(share) for share in shares}


def nearest(clusterings: Mapping[str, Any], experiment_id: str) -> Any:
    """The clustering actor on this node; where there is none, one of the others, by the experiment."""
    here = clusterings.get(ray.get_runtime_context().get_node_id())
    return here or list(clusterings.values())[crc32(experiment_id.encode()) % len(clusterings)]


def _start(share: ClusteringShare) -> Any:
    actor = ray.remote(ClusteringService).options(
        num_cpus=0,
        num_gpus=share.gpus,
        max_concurrency=share.concurrency,
        max_restarts=-1,
        max_task_retries=3,
        # Not a soft NodeAffinitySchedulingStrategy: Ray 2.60 heeds none of an actor that asks for nothing.
        label_selector={NODE_ID: share.node_id} if share.node_id else None,
        fallback_strategy=[{"label_selector": {}}],
    )
    return actor.remote(share.threads, use_gpu=share.gpus > 0)


@dataclass(frozen=True, slots=True)
class RemoteClustering:
    """A clustering that runs on a clustering actor."""

    actor: Any
    name: str
    options: Mapping[str, Any]

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        """Cluster ids (U,) of embeddings (U, D).

        Raises:
            InfrastructureError: The actor is gone, and is not back in time.
        """
        points = ray.put(embeddings)
        end = time.monotonic() + MOVE_SECONDS
        while True:
            call = self.actor.cluster.remote(self.name, self.options, points, num_clusters, seed)
            try:
                cluster_ids: npt.NDArray[np.int64] = ray.get(call)
            except (RayActorError, ObjectLostError) as error:
                if not isinstance(error, ActorUnavailableError) or time.monotonic() > end:
                    raise InfrastructureError(f"the clustering actor is gone: {error}") from error
                time.sleep(1)
            else:
                return cluster_ids
