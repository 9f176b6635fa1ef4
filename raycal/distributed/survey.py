"""Asks every node of a Ray cluster about the node itself, the storage and the tracking server; the questions are
answered on the node."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raycal import __version__
from raycal.distributed.ray_internals import HEAD_RESOURCE
from raycal.distributed.session import visit
from raycal.storage.folder import Folder
from raycal.tracking.reach import no_answer

ANSWER_SECONDS, TRACKING_SECONDS = 20.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """The answers of one node, as this machine judges them.

    Attributes:
        name: The node's address, with the beginning of its id where several nodes have the same address.
        gpus: The GPUs that Ray knows of.
        is_head: Whether this is the head node, on which sweeps submitted as jobs run.
        error: Why the node did not answer, or what is wrong with the storage as the node sees it; empty if all is well.
        no_tracking: Why the tracking server does not answer the node; empty if the server answers, or if there is no
            server.
        raycal: The version of raycal on the node; empty when the node did not answer.
        clock_seconds: How far the node's clock is ahead of this machine's.
    """

    name: str
    gpus: float
    is_head: bool = False
    error: str = ""
    no_tracking: str = ""
    raycal: str = ""
    clock_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The answers of all nodes, and the version of Ray."""

    ray: str
    nodes: tuple[NodeReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The answers that a node collects about itself."""

    error: str
    no_tracking: str
    raycal: str
    clock: float


def survey(address: str, storage: str, tracking: str | None = None) -> Survey:
    """Ask every node of the Ray cluster to read a file written here, and to write a file beside it.

    Args:
        address: The `host:port` of the cluster.
        storage: The storage of the sweep, in a form that `Folder.at` accepts.
        tracking: URI of a tracking server to which every node tries to connect, too.

    Raises:
        InputError: There is no cluster, it refuses access, or it runs another version of Ray or Python.
        OSError: The storage cannot be written from here.
    """
    folder = Folder.at(storage)
    mark = f"raycal-doctor-{uuid4().hex}"
    was_there = folder.exists()
    with visit(address):
        folder.write(mark, b"here")
        try:
            listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
            nodes = [node for node in listed if node["Alive"]]
            calls = [_ask(node["NodeID"], folder.uri, mark, tracking) for node in nodes]
            ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)
            reports = tuple(map(_report, nodes, _names(nodes), calls))
        finally:
            folder.remove(mark)
            if not was_there:
                folder.remove_if_empty()
        return Survey(ray=ray.__version__, nodes=reports)


def _names(nodes: list[dict[str, Any]]) -> list[str]:
    """The name of each node: its address, with the beginning of its id where several nodes have the same address."""
    shared = Counter(node["NodeManagerAddress"] for node in nodes)
    return [
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
        if shared[node["NodeManagerAddress"]] > 1
        else str(node["NodeManagerAddress"])
        for node in nodes
    ]


def _ask(node_id: str, storage: str, mark: str, tracking: str | None) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return (
        ray.remote(_look).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(storage, mark, tracking)
    )


def _look(storage: str, mark: str, tracking: str | None) -> _Answer:
    """Collect a node's answers; runs on that node."""
    return _Answer(
        error=_look_at_storage(Folder.at(storage), mark),
        no_tracking="" if tracking is None else no_answer(tracking, TRACKING_SECONDS),
        raycal=__version__,
        clock=time.time(),
    )


def _look_at_storage(folder: Folder, mark: str) -> str:
    """What is wrong with the storage on this node; empty if all is well."""
    file_name = f"{mark}-{uuid4().hex}"
    try:
        if folder.read(mark) is None:
            return "does not see what this machine writes there, so the storage is not shared"
        folder.write(file_name, b"there")
        folder.remove(file_name)
    except OSError as error:
        return f"cannot write there: {error.strerror or error}"
    return ""


def _report(node: dict[str, Any], name: str, call: Any) -> NodeReport:
    resources = node["Resources"]
    report = NodeReport(name=name, gpus=float(resources.get("GPU", 0)), is_head=HEAD_RESOURCE in resources)
    try:
        answer: _Answer = ray.get(call, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return replace(report, error=f"gave no answer within {ANSWER_SECONDS:g} s")
    except Exception as failed:  # A node may fail in any way.
        words = " ".join(str(failed).split())
        reason = "raycal is not installed there" if "ModuleNotFoundError" in words else words[-200:]
        return replace(report, error=reason)
    return replace(
        report,
        error=answer.error,
        no_tracking=answer.no_tracking,
        raycal=answer.raycal,
        clock_seconds=answer.clock - time.time(),
    )
