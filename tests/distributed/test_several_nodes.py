"""Tests a sweep on a Ray cluster of several nodes, one of which dies."""

from pathlib import Path

import pytest
from nodes import left_over, living_actors, ray_cluster
from ray.cluster_utils import Cluster
from sweep_command import SWEEP, log_of, outcome, run, started, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

LONGER = SWEEP.replace("iterations: 3", "iterations: 4").replace("epochs: 1", "epochs: 4")


def workers_by_node(cluster: Cluster) -> dict[str, int]:
    """The number of living Train workers on each node."""
    nodes = [actor.node_id for actor in living_actors(cluster) if actor.class_name == "RayTrainWorker"]
    return {node: nodes.count(node) for node in nodes if node}


def test_sweep_survives_the_sudden_loss_of_a_node(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(LONGER + "grid: {seed: [0, 1, 2, 3]}\nresources: {cpus_per_worker: 1}\n")
    with ray_cluster(0, 1, 1) as cluster:
        with started(sweep, storage, address=cluster.address) as process:
            both = wait_until(
                lambda: (
                    len(found := workers_by_node(cluster)) == 2 and log_of(storage).read_text().count("/4 ") and found
                ),
                timeout=300,
                every=1,
            )
            assert set(both.values()) == {1}, "one trial on each node"
            victim = next(node for node in cluster.list_all_nodes() if node.node_id in both)
            cluster.remove_node(victim, allow_graceful=False)
            assert process.wait(600) == 0, log_of(storage).read_text()
        wait_until(lambda: not left_over(cluster), timeout=60, every=1)

    assert run(sweep, tmp_path / "here", "--local")[0] == 0
    assert outcome(storage) == outcome(tmp_path / "here")
    assert len(outcome(storage)) == 4
