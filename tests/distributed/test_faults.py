"""Tests that a sweep whose processes are killed one after another ends as if nothing had happened."""

import json
import signal
import time
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from sweep_command import SWEEP, family, log_of, outcome, run, started, statuses, wait_until

from raycal.distributed.clustering_client import LEAST_PATIENCE_SECONDS, LOOK_SECONDS
from raycal.distributed.retries import WORKER_RETRIES

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

LONGER = SWEEP.replace("iterations: 3", "iterations: 4").replace("epochs: 1", "epochs: 4")
VICTIMS = ["ray::RayTrainWorker", "ray::ClusteringService", "ray::Mailbox", "ray::ResourceTrainable"]
WORKER = VICTIMS[0]


def kill(process: Popen[str], title: str) -> None:
    """Kill the only process of the sweep with this title by SIGKILL."""
    victims = family(process.pid, title)
    assert len(victims) == 1, title
    victims[0].send_signal(signal.SIGKILL)
    psutil.wait_procs(victims, timeout=30)


def test_clustering_actor_that_hangs_is_started_again(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(LONGER + "grid: {seed: [0, 1]}\nresources: {cpus_per_worker: 1}\n")
    with started(sweep, storage) as process:
        wait_until(lambda: "iteration 1/4" in log_of(storage).read_text())
        (actor,) = family(process.pid, "ray::ClusteringService")
        actor.suspend()
        stopped = time.monotonic()
        assert process.wait(LOOK_SECONDS + LEAST_PATIENCE_SECONDS + 300) == 0, log_of(storage).read_text()
    assert time.monotonic() - stopped > LEAST_PATIENCE_SECONDS, "it was needed"
    assert not actor.is_running()

    assert run(sweep, tmp_path / "here", "--local")[0] == 0
    assert outcome(storage) == outcome(tmp_path / "here")
    assert statuses(storage) == {"sweep": ["FINISHED"], "trial": ["FINISHED"] * 2}


def begun(run_dir: Path) -> int:
    """The time at which a worker last began or resumed the experiment, in nanoseconds; 0 before the first time."""
    environment = run_dir / "environment.json"
    return environment.stat().st_mtime_ns if environment.exists() else 0


def test_killed_processes_are_replaced_and_an_experiment_that_kills_its_worker_is_given_up(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    seeds = list(range(len(VICTIMS) + 2))
    sweep.write_text(LONGER + f"grid: {{seed: {seeds}}}\nresources: {{max_concurrent_trials: 1, cpus_per_worker: 1}}\n")
    with started(sweep, storage) as process:
        wait_until(lambda: (storage / "small/plan.json").exists())
        planned = list(json.loads((storage / "small/plan.json").read_text())["experiments"])
        for experiment_id, victim in zip(planned, VICTIMS, strict=False):
            wait_until(lambda name=experiment_id: f"{name}  iteration 1/4" in log_of(storage).read_text())
            kill(process, victim)
        deadly = storage / "small" / planned[len(VICTIMS)]
        last = 0
        for _ in range(1 + WORKER_RETRIES):
            last = wait_until(lambda since=last: begun(deadly) > since and begun(deadly))
            kill(process, WORKER)
        assert process.wait(600) == 1, log_of(storage).read_text()

    output = log_of(storage).read_text()
    assert f"{deadly.name}  failed: on Ray: its worker died 4 times" in output
    assert output.count("\nfailed  ") == 1
    assert not (deadly / "state/finished.json").exists()
    assert statuses(storage) == {"sweep": ["FAILED"], "trial": ["FAILED"] + ["FINISHED"] * 5}

    # The experiment that had failed continues from its last iteration.
    assert run(sweep, storage, "--resume", "--local")[0] == 0
    assert run(sweep, tmp_path / "here", "--local")[0] == 0
    assert outcome(storage) == outcome(tmp_path / "here")
    assert [len(lines) for _, lines in outcome(storage).values()] == [4] * len(planned)


def test_loss_of_rays_control_service_ends_the_sweep_and_loses_nothing(tmp_path: Path) -> None:
    """Ray ends every process that has lost the service for a minute, and the driver cannot prevent its own end."""
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(LONGER + "grid: {seed: [0, 1]}\nresources: {cpus_per_worker: 1}\n")
    with started(sweep, storage) as process:
        wait_until(lambda: "iteration 1/4" in log_of(storage).read_text())
        below = psutil.Process(process.pid).children(recursive=True)
        (service,) = (child for child in below if child.name() == "gcs_server")
        service.kill()
        assert process.wait(300) != 0
    _, alive = psutil.wait_procs(below, timeout=60)
    left = {child.name() for child in alive}
    for child in alive:
        child.kill()
    assert left <= {"ray::RuntimeEnvAgent", "ray::DashboardAgent"}  # These processes are Ray's own agents.

    assert run(sweep, storage, "--resume")[0] == 0
    assert run(sweep, tmp_path / "here", "--local")[0] == 0
    assert outcome(storage) == outcome(tmp_path / "here")
    assert statuses(storage) == {"sweep": ["FINISHED"], "trial": ["FINISHED"] * 2}
