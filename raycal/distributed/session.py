"""The connection to a Ray cluster: one that is there, or one of our own on this machine."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from raycal.distributed.pools import NAMESPACE
from raycal.distributed.resources import Node
from raycal.errors import InputError
from raycal.interrupt import catch_signals, deferred, raise_if_received

CONNECT_SECONDS = 10.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Ctrl-C is ours: it ends the sweep with its own message and exit code.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune 2.60's new output prints a box and paths even when told to be silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    # An experiment that fails before its first iteration has no figure to schedule by.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The actors of a trial use no core while its worker computes; the raylet warns of their number all the same.
    "RAY_worker_maximum_startup_concurrency": str(8 * (os.cpu_count() or 1)),
}


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Connect to a Ray cluster, or start one on this machine; yields its nodes, and leaves it at the end.

    Meanwhile an interruption waits for `raise_if_received`.

    Args:
        address: As `ray.init` takes it; None: `RAY_ADDRESS`, else a cluster running here, else a new one.

    Raises:
        InputError: There is no Ray cluster at the address.
    """
    with deferred():
        yield from _session(address)


def _session(address: str | None) -> Iterator[list[Node]]:
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    _must_answer(address or os.environ.get("RAY_ADDRESS") or "")
    try:
        ray.init(address, namespace=NAMESPACE, logging_level=logging.WARNING, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = address or os.environ.get("RAY_ADDRESS") or "on this machine"
        raise InputError(
            f"no Ray cluster {where}: {str(error).partition(chr(10))[0]} (a cluster with tokens needs "
            "RAY_AUTH_MODE=token here and where it was started)"
        ) from error
    catch_signals()  # Ray has handlers of its own, which end the process at once
    try:
        raise_if_received()
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        yield [Node.of(node["Resources"], node["NodeID"]) for node in nodes if node["Alive"]]
    finally:
        ray.shutdown()


@contextmanager
def visit(address: str | None) -> Iterator[None]:
    """Be connected to a running Ray cluster; a connection that is there is used and left.

    Raises:
        InputError: There is no Ray cluster.
    """
    if ray.is_initialized():
        yield
        return
    where = address or os.environ.get("RAY_ADDRESS") or "auto"
    _must_answer(where)
    try:
        ray.init(where, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster at {where}: {str(error).partition(chr(10))[0]}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _must_answer(address: str) -> None:
    """Refuse `host:port` where nothing listens; Ray itself tries for a quarter of an hour."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from error
