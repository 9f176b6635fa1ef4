"""Starts Ray clusters of several nodes on this machine, and lists their living actors and processes."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from ray.cluster_utils import Cluster
from ray.util.state import list_actors, list_nodes, list_placement_groups
from sweep_command import family, title_of, wait_until

OBJECT_STORE_BYTES = 100 * 2**20
# The names of Ray's own actors and processes. The first of these names is an actor that stays on a cluster after Ray
# Train was used. Each node has the two agents. An idle worker is named `IDLE`.
RAYS_OWN = ("_AutoscalingCoordinatorActor", "DashboardAgent", "RuntimeEnvAgent", "IDLE")


@contextmanager
def ray_cluster(*cpus: int) -> Iterator[Cluster]:
    """A Ray cluster with one node for each number of CPUs; the first node is the head."""
    # The folder is not /tmp/ray, because every `ray.init()` looks for a cluster there. Its path is short, because the
    # paths of sockets must be short.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with mock.patch.dict(os.environ, {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}):
        cluster = Cluster()
        try:
            cluster.add_node(
                num_cpus=cpus[0],
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=True,
                dashboard_port=_free_port(),
                temp_dir=folder,
            )
            for number in cpus[1:]:
                cluster.add_node(num_cpus=number, object_store_memory=OBJECT_STORE_BYTES)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


MAY_MOUNT = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def node_with_own_mounts(cluster: Cluster, mount: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Add a node on which a line of shell mounts file systems that no other node has; needs `MAY_MOUNT`."""
    before = _alive(cluster)
    start = (
        f"{sys.executable} -m ray.scripts.scripts start --block --address {cluster.address} --num-cpus 1"
        f" --object-store-memory {OBJECT_STORE_BYTES} --dashboard-agent-listen-port {_free_port()}"
    )
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", f"{mount}\nexec {start}"],
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: _alive(cluster) == before + 1 or process.poll() is not None, timeout=60)
            log.seek(0)
            assert process.poll() is None, log.read().decode()
            yield
        finally:
            process.terminate()
            process.wait(60)


def _alive(cluster: Cluster) -> int:
    """The number of nodes that are alive, as far as the cluster knows."""
    return sum(node.state == "ALIVE" for node in list_nodes(address=cluster.address))


def living_actors(cluster: Cluster) -> list[Any]:
    """Every actor that is alive or being started, except Ray's own."""
    actors = list_actors(address=cluster.address, limit=10_000)
    return [actor for actor in actors if actor.state != "DEAD" and actor.class_name not in RAYS_OWN]


def left_over(cluster: Cluster) -> list[str]:
    """The actors, placement groups and processes that were left on the cluster."""
    actors = [actor.class_name for actor in living_actors(cluster)]
    groups = [f"placement group {group.state}" for group in _placement_groups(cluster)]
    titles = [title_of(process).removeprefix("ray::") for process in family(os.getpid(), "ray::")]
    processes = [title for title in titles if title and not title.startswith(RAYS_OWN)]
    return actors + groups + processes


def _placement_groups(cluster: Cluster) -> list[Any]:
    groups = list_placement_groups(address=cluster.address, limit=10_000)
    return [group for group in groups if group.state != "REMOVED"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
