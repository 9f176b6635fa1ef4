"""What the nodes of a Ray cluster say of themselves and of the storage, each asked on the node itself."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raycal import __version__
from raycal.distributed.session import visit
from raycal.files import Folder

ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One node.

    Attributes:
        error: Why it did not answer, or what went wrong with the storage on it; empty when all is well.
        gpus: That Ray knows of.
        raycal: The version on the node; empty when it did not answer.
        clock_seconds: How far its clock is ahead of the one here.
    """

    address: str
    gpus: float
    error: str = ""
    raycal: str = ""
    clock_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A cluster as it answered."""

    ray: str
    nodes: tuple[NodeReport, ...]


def survey(address: str, storage: str) -> Survey:
    """Ask every node of the cluster at `host:port` to read what is written here, and to write beside it.

    Raises:
        InputError: There is no cluster, it does not let us in, or it runs another version of Ray or Python.
        OSError: The storage cannot be written here.
    """
    folder = Folder.at(storage)
    mark = f"raycal-doctor-{uuid4().hex}"
    was_there = folder.exists()
    with visit(address):
        folder.write(mark, b"here")
        try:
            listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
            nodes = [node for node in listed if node["Alive"]]
            calls = [_ask(node["NodeID"], folder.uri, mark) for node in nodes]
            ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)
            reports = tuple(_report(node, call) for node, call in zip(nodes, calls, strict=True))
        finally:
            folder.remove(mark)
            if not was_there:
                folder.remove_if_empty()
        return Survey(ray=ray.__version__, nodes=reports)


def _ask(node_id: str, storage: str, mark: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(_look).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(storage, mark)


def _look(storage: str, mark: str) -> tuple[str, str, float]:
    """On a node: what is wrong with the storage, the version of raycal, the time."""
    folder, own = Folder.at(storage), f"{mark}-{uuid4().hex}"
    if folder.read(mark) is None:
        return "does not see what this machine writes there: it is not shared", __version__, time.time()
    try:
        folder.write(own, b"there")
        folder.remove(own)
    except OSError as error:
        return f"cannot write there: {error}", __version__, time.time()
    return "", __version__, time.time()


def _report(node: dict[str, Any], call: Any) -> NodeReport:
    address, gpus = str(node["NodeManagerAddress"]), float(node["Resources"].get("GPU", 0))
    try:
        error, version, clock = ray.get(call, timeout=0)
    except ray.exceptions.GetTimeoutError:
        return NodeReport(address=address, gpus=gpus, error=f"gave no answer within {ANSWER_SECONDS:g} s")
    except Exception as failed:  # whatever a node cannot do
        words = " ".join(str(failed).split())
        reason = "raycal is not installed there" if "ModuleNotFoundError" in words else words[-200:]
        return NodeReport(address=address, gpus=gpus, error=reason)
    ahead = clock - time.time()
    return NodeReport(address=address, gpus=gpus, error=error, raycal=version, clock_seconds=ahead)
