"""Removes what ended jobs still hold on a cluster that continues to run.

Ray removes the placement groups of a job that ends, but not the groups that the job's dying actors create afterwards. A
driver that is killed while trials start can leave cores and GPUs allocated forever, and the next job waits for them.
The cleanup actors of Ray Train, which exist for such cases, also stay as idle processes after they have done their
work.
"""

import time
from collections.abc import Iterable
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raycal.distributed.ray_internals import (
    CLEANER,
    CONTROLLER,
    end_actors,
    ended_jobs,
    living_actors,
    placement_groups,
)

# The actors of a killed job go on running for up to eight seconds.
DYING_SECONDS = 10.0


def remove_leftovers() -> int:
    """Remove the placement groups whose job and actor have ended, and Train's idle actors. Return the number of groups.

    Groups of a living job or a living actor stay. Detached groups, which are meant to outlive jobs and actors, stay
    too.
    """
    finished = ended_jobs()
    alive = living_actors()
    deadline = time.monotonic() + DYING_SECONDS
    while any(_ends_with(actor, finished) for actor in alive.values()) and time.monotonic() < deadline:
        time.sleep(0.5)
        alive = living_actors()
    leftovers = [
        group
        for group in placement_groups()
        if group.creator_job_id.hex() in finished and group.creator_actor_id.hex() not in alive
    ]
    for group in leftovers:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
    _end(CLEANER, finished)
    return len(leftovers)


def leave_nothing() -> None:
    """End the actors of this job that would outlive it. Ray removes the placement groups when the job disconnects."""
    job = [ray.get_runtime_context().get_job_id()]
    # A controller that is alive when its workers end starts new workers, with a new placement group.
    _end(CONTROLLER, job)
    _end(CLEANER, job)


def _end(actor_class: str, jobs: Iterable[str]) -> None:
    """End all actors of a class that belong to the jobs, whichever process holds their handles."""
    alive = living_actors().items()
    left_behind = [key for key, actor in alive if actor["JobID"] in jobs and actor["ActorClassName"] == actor_class]
    end_actors(left_behind, ray.get_runtime_context().gcs_address)


def _ends_with(actor: dict[str, Any], jobs: set[str]) -> bool:
    return actor["JobID"] in jobs and not actor["IsDetached"]
