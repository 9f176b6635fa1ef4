"""Calls a clustering actor, which may die, hang, or run out of memory."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
from ray.exceptions import (
    ActorDiedError,
    GetTimeoutError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
)

from raycal.algorithm.records import Floats
from raycal.distributed.clustering_actor import PROBE_GROUP
from raycal.distributed.retries import CLUSTERING_RETRIES
from raycal.errors import InfrastructureError, ShortOfMemoryError, one_line, shortened
from raycal.kmeans.backends import note

logger = logging.getLogger(__name__)

# An actor whose node died runs on another node about 20 s later. Ray needs most of this time to notice the death.
MOVE_SECONDS = 120.0
LOOK_SECONDS = 30.0
# A clustering never counts as stuck within this time. After this time, it counts as stuck if it has done fewer
# multiplications per second than `SLOWEST_RATE`, which is a fortieth of the rate of one busy core.
LEAST_PATIENCE_SECONDS, SLOWEST_RATE = 300.0, 1e9
REASON_LENGTH = 300
FIX = "lower resources.max_concurrent_trials, take a smaller pool or nodes with more memory"


@dataclass(frozen=True, slots=True)
class RemoteClustering:
    """A clustering that runs on a clustering actor, with a limited number of tries."""

    actor: Any
    name: str
    options: Mapping[str, Any]

    def __call__(self, embeddings: Floats, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
        """Cluster ids (U,) of embeddings (U, D).

        Raises:
            InfrastructureError: The actor ended and was not restarted in time, or it died or hung at every try.
            ShortOfMemoryError: The clustering asked for more memory than there is.
        """
        reason, tries = "", 1 + CLUSTERING_RETRIES
        patience = patience_seconds(embeddings.shape, num_clusters, self.options)
        for attempt in range(1, tries + 1):
            begin = time.monotonic()
            call = self.actor.cluster.remote(self.name, self.options, ray.put(embeddings), num_clusters, seed, patience)
            try:
                self._wait_for(call, patience)
                cluster_ids: npt.NDArray[np.int64]
                cluster_ids, backends = ray.get(call)
            except RayTaskError as error:
                if not _is_short_of_memory(error.cause):
                    raise
                size = _size(embeddings, num_clusters)
                raise ShortOfMemoryError(f"{self.name} of {size} ran out of memory on its actor; {FIX}") from error
            except (RayActorError, ObjectLostError, OutOfMemoryError) as error:
                seconds = time.monotonic() - begin
                reason = f"no answer for {seconds / 60:.0f} min" if seconds > patience else _short(error)
                logger.warning("clustering, try %d of %d: %s", attempt, tries, reason)
                self._wait_for_actor()
            else:
                note(*backends)
                return cluster_ids
        raise InfrastructureError(
            f"the clustering actor died or hung {tries} times at {_size(embeddings, num_clusters)}; if its node ran "
            f"out of memory, {FIX}; the last time: {reason}"
        )

    def _wait_for(self, call: Any, patience: float) -> None:
        """Wait for an answer or an error. An actor that hangs is killed and restarted, which counts as an error."""
        while not ray.wait([call], timeout=LOOK_SECONDS)[0]:
            if not ray.wait([self._look()], timeout=patience)[0]:
                ray.kill(self.actor, no_restart=False)

    def _wait_for_actor(self) -> None:
        """Wait until the actor runs again."""
        end = time.monotonic() + MOVE_SECONDS
        while True:
            try:
                ray.get(self._look(), timeout=max(1.0, end - time.monotonic()))
                return
            except (RayActorError, GetTimeoutError) as error:
                if isinstance(error, ActorDiedError) or time.monotonic() > end:
                    raise InfrastructureError(f"the clustering actor has ended: {_short(error)}") from error
            time.sleep(1)

    def _look(self) -> Any:
        return self.actor.end_if_stuck.options(concurrency_group=PROBE_GROUP).remote()


def patience_seconds(shape: tuple[int, ...], num_clusters: int, options: Mapping[str, Any]) -> float:
    """The longest time that a clustering of embeddings (U, D) may take, which is far longer than a working clustering
    takes.

    The time is enough to compare each point with each center in every iteration, and enough to compare each point with
    each other point.
    """
    points, width = shape
    compared = max(num_clusters * int(options.get("iterations", 1)), points)
    return max(LEAST_PATIENCE_SECONDS, points * width * compared / SLOWEST_RATE)


def _is_short_of_memory(cause: Exception) -> bool:
    """Whether a clustering failed for lack of memory; the GPU libraries say so only in the message."""
    return isinstance(cause, MemoryError) or "out of memory" in str(cause)


def _size(embeddings: Floats, num_clusters: int) -> str:
    points, width = embeddings.shape
    return f"{points:,} points (D = {width}) into {num_clusters:,}"


def _short(error: Exception) -> str:
    """The beginning of Ray's message, in one line."""
    return shortened(one_line(error), REASON_LENGTH)
