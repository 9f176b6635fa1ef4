"""Imports the plug-ins of a sweep on the nodes of a Ray cluster, and tests them there before anything starts."""

from collections.abc import Sequence
from typing import Any

import ray
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raycal.data.cache import cache_dir
from raycal.errors import InputError, one_line
from raycal.experiment import build
from raycal.plugins import Plugin, load_on_node

ANSWER_SECONDS = 120.0
MAX_WORDS = 300


def load_here(plugins: Sequence[Plugin]) -> None:
    """Import the plug-ins in this process of the Ray cluster.

    Raises:
        InputError: A plug-in cannot be imported on this node; each line names the node.
    """
    if not plugins:
        return
    try:
        load_on_node(plugins, build.REGISTRIES, cache_dir() / "plugins")
    except InputError as error:
        node = get_node_ip_address()  # type: ignore[no-untyped-call]
        raise InputError(*(f"plug-in {line} (on node {node})" for line in error.problems)) from error


def check_plugins(plugins: Sequence[Plugin]) -> None:
    """Import the plug-ins once on every node that the cluster has now, so that no trial fails on them later.

    A node that does not answer in time is skipped; each trial on such a node imports the plug-ins itself.

    Raises:
        InputError: A plug-in cannot be imported on a node; there is a line for each such plug-in and node.
    """
    if not plugins:
        return
    listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    calls = [_try(node["NodeID"], plugins) for node in listed if node["Alive"]]
    ready, _ = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_SECONDS)
    problems: dict[str, None] = {}
    for call in ready:
        try:
            problems |= dict.fromkeys(ray.get(call))
        except Exception as error:  # A node may fail in any way.
            problems[f"plug-ins: a node cannot check them: {one_line(error)[-MAX_WORDS:]}"] = None
    if problems:
        raise InputError(*problems)


def _try(node_id: str, plugins: Sequence[Plugin]) -> Any:
    """Start the check of the plug-ins on a node, and return the handle of its answer."""
    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(_problems).options(**options).remote(plugins)


def _problems(plugins: Sequence[Plugin]) -> list[str]:
    """The problems of the plug-ins on this node, one line for each."""
    try:
        load_here(plugins)
    except InputError as error:
        return list(error.problems)
    return []
