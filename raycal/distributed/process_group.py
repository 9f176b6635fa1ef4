"""Joins the workers of a group with torch's collectives, as Ray's `TorchConfig` does, but only in the worker processes.

`TorchConfig` also imports torch into the trial and into Train's controller, where torch is not needed and takes seconds
and 600 MB each. `TorchConfig` also shows every worker the GPUs of all workers; with this module each worker sees only
its own GPU, as `cuda`.
"""

import socket
from dataclasses import dataclass
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig


@dataclass
class ProcessGroupConfig(BackendConfig):
    """Asks Ray Train for a process group.

    Attributes:
        gpus: GPUs of each worker; may be a fraction.
    """

    gpus: float = 0.0

    @property
    def backend_cls(self) -> type[Backend]:
        """The backend class that starts the process group."""
        return _ProcessGroup

    @property
    def collectives(self) -> str:
        """Torch's backends: Gloo carries commands and predictions. NCCL carries the gradients, unless workers share a
        GPU."""
        return "cpu:gloo,cuda:nccl" if self.gpus > 0.5 else "gloo"


class _ProcessGroup(Backend):
    """Starts the process group; a single worker needs no process group."""

    share_cuda_visible_devices = False

    def on_start(self, worker_group: Any, backend_config: ProcessGroupConfig) -> None:  # type: ignore[override]
        size = len(worker_group)
        if size == 1:
            return
        meeting_point = worker_group.execute_single(0, _meeting_point)
        joined = [
            worker_group.execute_single_async(rank, _join, backend_config.collectives, meeting_point, rank, size)
            for rank in range(size)
        ]
        ray.get(joined)


def _meeting_point() -> str:
    """A free port on the first worker's node, as an address in a form that torch accepts."""
    host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port = probe.getsockname()[1]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _join(collectives: str, meeting_point: str, rank: int, size: int) -> None:
    from raycal.learner.team import join

    join(collectives, meeting_point, rank, size)
