"""What jobs that are over still hold on a cluster that lives on.

Ray removes the placement groups of a job that ends, but not those that its dying actors make after that: a driver that
is killed while trials start can so leave cores and GPUs taken for ever, and whoever comes next waits for them.
"""

import time
from typing import Any

import ray
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]
from ray.util.placement_group import PlacementGroup, remove_placement_group

# The actors of a job that was killed live on for up to eight.
DYING_SECONDS = 10.0


def remove_leftovers() -> int:
    """Remove the placement groups whose job and actor are over; how many there were.

    Those of a living job, of a living actor, and the detached ones, which are meant to outlive both, stay.
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
    return len(leftovers)


def _alive_actors() -> dict[str, dict[str, Any]]:
    return {key: actor for key, actor in ray._private.state.actors().items() if actor["State"] != "DEAD"}


def _ends_with(actor: dict[str, Any], jobs: set[str]) -> bool:
    return actor["JobID"] in jobs and not actor["IsDetached"]


def _placement_groups() -> list[Any]:
    """Those that hold or want resources and are not detached."""
    accessor = ray._private.state.state._connect_and_get_accessor()
    groups = map(PlacementGroupTableData.FromString, accessor.get_placement_group_table())
    return [group for group in groups if group.state != PlacementGroupTableData.REMOVED and not group.is_detached]
