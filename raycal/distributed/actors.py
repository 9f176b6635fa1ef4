"""The actors of a sweep, each around a class without Ray: a pool actor per experiment, one clustering actor for all."""

import hashlib
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
from ray.exceptions import ObjectLostError, RayActorError

from raycal.algorithm.clustering import clusterings
from raycal.algorithm.pool import Pool
from raycal.algorithm.records import Floats, Interaction, IterationResult, PoolSnapshot
from raycal.errors import InfrastructureError

NAMESPACE = "raycal"
LEDGER_TAIL = 1000
NAME_TRIES = 20


class LivePool:
    """A copy of a running experiment's pool that other processes can look at.

    The truth is the run folder. Commits are keyed by iteration, so that one sent twice changes nothing; an actor that
    was restarted is whole again at the next commit.
    """

    def __init__(self, num_samples: int) -> None:
        self._pool = Pool.of(num_samples)
        self._iteration = -1
        self._interactions = 0
        self._tail: deque[Interaction] = deque(maxlen=LEDGER_TAIL)

    def commit(self, result: IterationResult) -> int:
        """Take over a finished iteration; the newest iteration known."""
        if result.iteration > self._iteration:
            self._pool = Pool(result.pool)
            self._iteration, self._interactions = result.iteration, result.interactions
            self._tail.extend(result.ledger)
        return self._iteration

    def counts(self) -> dict[str, int]:
        """Iteration, interactions, and the sizes of D^U, D^L and D^CL the model was last trained on."""
        return {
            "iteration": self._iteration,
            "interactions": self._interactions,
            "unlabeled": self._pool.num_unlabeled,
            "labeled": self._pool.num_labeled,
            "cluster_labeled": self._pool.num_cluster_labeled,
        }

    def snapshot(self) -> PoolSnapshot:
        """The partition the model was last trained on."""
        return self._pool.snapshot()

    def ledger_tail(self, rows: int = 20) -> list[Interaction]:
        """The newest interactions, oldest first; at most 1,000 are kept."""
        return list(self._tail)[-rows:]


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


def pool_name(folder: str, experiment_id: str) -> str:
    """The name of an experiment's pool actor in the namespace `raycal`, by the folder of its sweep."""
    return f"pool/{hashlib.sha256(folder.encode()).hexdigest()[:8]}/{experiment_id}"


def start_pool(folder: str, experiment_id: str, num_samples: int) -> Any:
    """The pool actor of an experiment; it lives as long as the trial that starts it."""
    actor = ray.remote(LivePool).options(
        name=pool_name(folder, experiment_id), namespace=NAMESPACE, num_cpus=0, max_restarts=-1, max_task_retries=3
    )
    for _ in range(NAME_TRIES):
        try:
            return actor.remote(num_samples)
        except ValueError:  # the actor of an interrupted start lingers for some seconds
            time.sleep(1)
    return actor.remote(num_samples)


def start_clustering(*, threads: int, concurrency: int, gpus: float) -> Any:
    """The clustering actor of a sweep: Faiss on a share of a GPU, or on the cores of the trials that wait for it."""
    actor = ray.remote(ClusteringService).options(
        num_cpus=0, num_gpus=gpus, max_concurrency=concurrency, max_restarts=-1, max_task_retries=3
    )
    return actor.remote(threads, use_gpu=gpus > 0)


@dataclass(frozen=True, slots=True)
class RemoteClustering:
    """A clustering that runs on the clustering actor."""

    actor: Any
    name: str
    options: dict[str, Any]

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        """Cluster ids (U,) of embeddings (U, D).

        Raises:
            InfrastructureError: The actor died, and again when it was restarted.
        """
        points = ray.put(embeddings)
        call = self.actor.cluster.remote(self.name, self.options, points, num_clusters, seed)
        try:
            cluster_ids: npt.NDArray[np.int64] = ray.get(call)
        except (RayActorError, ObjectLostError) as error:
            raise InfrastructureError(f"the clustering actor is gone: {error}") from error
        return cluster_ids
