"""The connection to a Ray cluster, which is already running or is started on this machine."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray

from raycal.capacity.allocate import Node
from raycal.capacity.allocation import count
from raycal.distributed.address import LOCAL, NONE_HERE, find_cluster
from raycal.distributed.cleanup import leave_nothing, remove_leftovers
from raycal.distributed.live_pools import NAMESPACE
from raycal.distributed.ray_internals import hide_driver_lines, hide_token_warning
from raycal.distributed.temp_folder import check_ray_folder, ray_folder
from raycal.errors import InputError, one_line
from raycal.signals import deferred, foreign_sigterm_handler

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # raycal handles Ctrl-C itself: it ends the sweep with its own message and exit code.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The new output of Tune 2.60 prints a box and paths even when it is told to be silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Nobody reads the files of Tune's loggers, and the TensorBoard logger imports torch into the driver: 4 s, 700 MB.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Without this variable, Tune would raise an error for an experiment that fails before its first iteration, because
    # such an experiment has not reported the objective of the scheduler.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # While the worker of a trial computes, the other actors of the trial use no core. A high limit stops the raylet's
    # warning about the number of actors.
    "RAY_worker_maximum_startup_concurrency": str(8 * (os.cpu_count() or 1)),
    # In a cluster that is started here, no provider takes a node away. Ray Train would start a process for each trial
    # that waits for such an announcement. The processes of a running cluster do not get this variable.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # This keeps escape sequences out of the log of a job.
    "RAY_COLOR_PREFIX": "0",
}
# This hides the warning of the raylet about many processes, which appears if the Ray cluster was started without the
# high limit above.
_HIDDEN = re.compile("worker processes have been started on node")


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Connect to a Ray cluster, or start one on this machine, and disconnect at the end.

    Inside the block, an interruption takes effect at the next call of `raise_if_received`.

    Args:
        address: The address, in a form that `ray.init` accepts. None means `RAY_ADDRESS` if it is set, otherwise
            a cluster that runs on this machine, and otherwise a new cluster.

    Yields:
        The nodes of the cluster that are alive.

    Raises:
        InputError: There is no Ray cluster at the address, it refuses access, or the process is connected to Ray
            already.
    """
    with deferred():
        yield from _session(address)


def _session(address: str | None) -> Iterator[list[Node]]:
    if ray.is_initialized():
        raise InputError(
            "this process is connected to a Ray cluster already; call ray.shutdown() first, or use --local"
        )
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    hide_driver_lines(_HIDDEN)
    cluster = find_cluster(address)
    if cluster is None:
        check_ray_folder()
    try:
        # Ray's own handler of SIGTERM would end the process at once.
        with foreign_sigterm_handler():
            _connect(cluster or LOCAL, level=logging.WARNING, namespace=NAMESPACE)
        if cluster is not None and (leftovers := remove_leftovers()):
            print(f"  freed {count(leftovers, 'placement group')} that killed jobs had left behind", flush=True)
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        yield [Node.of(node["Resources"], node["NodeID"]) for node in nodes if node["Alive"]]
    finally:
        if cluster is not None and ray.is_initialized():
            with suppress(Exception):  # The cluster may have ended.
                leave_nothing()
        ray.shutdown()


@contextmanager
def visit(address: str | None) -> Iterator[None]:
    """Connect to a running Ray cluster for the block; an existing connection is used, and stays open afterwards.

    Raises:
        InputError: There is no Ray cluster, or it refuses access.
    """
    if ray.is_initialized():
        yield
        return
    cluster = find_cluster(address or "auto")
    if cluster is None:
        raise InputError(NONE_HERE)
    try:
        _connect(cluster, level=logging.ERROR)
        yield
    finally:
        ray.shutdown()


def _connect(address: str, *, level: int, **options: Any) -> None:
    # Processes that Ray starts on the cluster look for the cluster at this address, not among other clusters on the
    # same machines.
    if address != LOCAL:
        options["runtime_env"] = {"env_vars": {"RAY_ADDRESS": address}}
    else:
        # Ray warns that a cluster of this process alone requires a token from every client, but nobody has to act upon
        # this warning.
        hide_token_warning()
    try:
        ray.init(address, logging_level=level, log_to_driver=False, **options)
    except OSError as error:
        if address == LOCAL and not isinstance(error, ConnectionError):
            raise InputError(f"Ray cannot start a cluster in {ray_folder()}: {one_line(error)}") from error
        raise InputError(f"no connection to the Ray cluster at {address}: {one_line(error)}") from error
    except (RuntimeError, ValueError) as error:
        raise InputError(f"no connection to the Ray cluster at {address}: {one_line(error)}") from error
