"""Removes what ended jobs still hold on a cluster that lives on.

Ray removes the placement groups of a job that ends, but not those that its dying actors create after that. A driver
that is killed while trials start can leave cores and GPUs taken for ever, and the next job waits for them. Train's
cleanup actors, which exist for such cases, also stay as idle processes when they have done their work.
"""

import time
from collections.abc import Iterable
from typing import Any

import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2 import KillActorViaGcsRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import ActorInfoGcsServiceStub
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raycal.distributed.address import ANSWER_SECONDS, channel

# The actors of a job that was killed live on for up to eight seconds.
DYING_SECONDS = 10.0
# Classes of Ray Train: the controller drives a worker group, the cleaner stands by in case the controller is killed.
CONTROLLER, CLEANER = "TrainController", "PlacementGroupCleaner"


def remove_leftovers() -> int:
    """Remove the placement groups whose job and actor have ended, and Train's idle actors; the number of groups.

    Groups of a living job or a living actor stay. Detached groups, which are meant to outlive both, stay too.
    """
    jobs = ray._private.state.jobs()  # type: ignore[no-untyped-call]
    finished = {job["JobID"] for job in jobs if job["IsDead"]}
    alive = _alive_actors()
    deadline = time.monotonic() + DYING_SECONDS
    while any(_ends_with(actor, finished) for actor in alive.values()) and time.monotonic() < deadline:
        time.sleep(0.5)
        alive = _alive_actors()
    leftovers = [
        group
        for group in _placement_groups()
        if group.creator_job_id.hex() in finished and group.creator_actor_id.hex() not in alive
    ]
    for group in leftovers:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
    _end(CLEANER, finished)
    return len(leftovers)


def leave_nothing() -> None:
    """End the actors of this job that would outlive it; Ray removes the placement groups when it disconnects."""
    job = [ray.get_runtime_context().get_job_id()]
    # A controller that is alive when its workers end starts new ones, with a new placement group.
    _end(CONTROLLER, job)
    _end(CLEANER, job)


def _end(actor_class: str, jobs: Iterable[str]) -> None:
    """End all actors of a class that belong to the jobs, whoever holds their handles."""
    alive = _alive_actors().items()
    found = [key for key, actor in alive if actor["JobID"] in jobs and actor["ActorClassName"] == actor_class]
    with channel(ray.get_runtime_context().gcs_address) as gcs:
        stub = ActorInfoGcsServiceStub(gcs)  # type: ignore[no-untyped-call]
        for key in found:
            request = KillActorViaGcsRequest(actor_id=bytes.fromhex(key), force_kill=True, no_restart=True)
            stub.KillActorViaGcs(request, timeout=ANSWER_SECONDS)


def _alive_actors() -> dict[str, dict[str, Any]]:
    return {key: actor for key, actor in ray._private.state.actors().items() if actor["State"] != "DEAD"}


def _ends_with(actor: dict[str, Any], jobs: set[str]) -> bool:
    return actor["JobID"] in jobs and not actor["IsDetached"]


def _placement_groups() -> list[Any]:
    """The placement groups that hold or ask for resources and are not detached."""
    accessor = ray._private.state.state._connect_and_get_accessor()
    groups = map(PlacementGroupTableData.FromString, accessor.get_placement_group_table())
    return [group for group in groups if group.state != PlacementGroupTableData.REMOVED and not group.is_detached]
