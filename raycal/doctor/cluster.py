"""Judges the Ray cluster, and the storage and the tracking server as its nodes see them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from raycal import __version__
from raycal.doctor.check_result import CheckResult, ok, problem, warning

if TYPE_CHECKING:
    from raycal.distributed.survey import Survey

MAX_CLOCK_SECONDS = 5.0
NO_CLUSTER = "no cluster is running here and none is named, so a sweep starts one on this machine"


def judge_cluster(
    address: str, survey: "Survey", storage: str, gpus: int, tracking: str | None = None
) -> Iterator[CheckResult]:
    """Judge the answers of the nodes of a Ray cluster.

    Args:
        address: The `host:port` of the cluster.
        survey: The answers of the nodes.
        storage: The URI of the storage that the nodes were asked to write to.
        gpus: How many GPUs this machine has.
        tracking: The URI of the server that the nodes were asked to connect to. None means that there is no server.
    """
    yield ok("ray cluster", f"{address}, Ray {survey.ray} like here, {_count(len(survey.nodes), 'node')}")
    total = sum(node.gpus for node in survey.nodes)
    if gpus and not total:
        yield warning("gpu (ray)", f"Ray knows none, but this machine has {gpus}", "ray start --num-gpus")
    else:
        yield ok("gpu (ray)", f"{total:g} on all nodes" if total else "none; trials run on the CPU")
    broken = [node for node in survey.nodes if node.error]
    for node in broken:
        if node.raycal:
            fix = "give a --storage that every node can access: a shared folder or a URI"
            yield problem("storage", f"{storage}: node {node.name} {node.error}", fix)
        else:
            yield problem("node", f"node {node.name}: {node.error}", "set up that node")
    if not broken:
        yield ok("storage", f"{storage} can be written from {_count(len(survey.nodes), 'node')}")
    if tracking is not None:
        yield from _judge_tracking(survey, tracking)
    for node in survey.nodes:
        if node.raycal and node.raycal != __version__:
            yield problem("raycal", f"{node.raycal} on node {node.name}, {__version__} here", "install the same")
        if abs(node.clock_seconds) > MAX_CLOCK_SECONDS:
            yield warning("clock", f"node {node.name} is {node.clock_seconds:+.0f} s off", "run NTP on every node")


def _judge_tracking(survey: "Survey", tracking: str) -> Iterator[CheckResult]:
    """Judge the answers about the tracking server. Only the sweep's process sends to the server; in a job, that process
    runs on the head node."""
    away = [node for node in survey.nodes if node.no_tracking]
    for node in away:
        found = f"{tracking} does not answer node {node.name} ({node.no_tracking})"
        if node.is_head:
            yield problem(
                "tracking", found, "sweeps submitted as jobs run there: give an address that this node can reach"
            )
        else:
            yield warning("tracking", found, "start no sweep on that node; trials that run there need no connection")
    if not away:
        yield ok("tracking", f"{tracking} answers {_count(len(survey.nodes), 'node')}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
