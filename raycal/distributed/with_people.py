"""Carries on an experiment with people on a Ray cluster, and holds a GPU only while the model works."""

from typing import Any, cast

import ray

from raycal.capacity.gpu_shares import hide_gpus
from raycal.distributed.plugins_on_nodes import load_here
from raycal.distributed.session import visit
from raycal.errors import InfrastructureError, one_line
from raycal.experiment.with_people import WorkerOrder, carry_on


def carry_on_there(order: WorkerOrder, address: str) -> bool:
    """Carry on the experiment in a task on the cluster: on a GPU if the cluster has a GPU, else on a core.

    Args:
        order: The experiment, whose folder and images every node must reach.
        address: The address of a running cluster.

    Returns:
        Whether the experiment was carried on; see `carry_on`.

    Raises:
        InputError: There is no Ray cluster, or it refuses access.
        InfrastructureError: The task was lost, for example with its node. A later call carries on the experiment.
    """
    with visit(address):
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        has_gpu = resources.get("GPU", 0) >= 1
        task: Any = ray.remote(cast(Any, _task))
        try:
            options = {"num_cpus": 1, "num_gpus": int(has_gpu), "max_retries": 0}
            return bool(ray.get(task.options(**options).remote(order, has_gpu=has_gpu)))
        except ray.exceptions.RayError as error:
            raise InfrastructureError(f"the task ended: {one_line(error)}") from error


def _task(order: WorkerOrder, *, has_gpu: bool) -> bool:
    if not has_gpu:
        hide_gpus()
    return carry_on(order, load=lambda: load_here(order.plugins))
