"""Whole sweeps on Ray, as a user starts them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from raycal.results import SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 200, test_size: 100}
  model: {weights: none}
  scenario: uncertain+cluster
  iterations: 3
  interactions_per_iteration: 20
  expert: {purity_threshold: 0.6}
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands under way; what a failed test leaves of them is ended."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()


def start(sweep: Path, storage: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "raycal.sweep", str(sweep), "--storage", str(storage), *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local", "PYTHONUNBUFFERED": "1"},
    )


def run(sweep: Path, storage: Path, *options: str) -> tuple[int, str]:
    process = start(sweep, storage, *options)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def outcome(storage: Path) -> dict[str, Any]:
    """All that must not differ: the bytes of each ledger, the results but for the seconds."""
    found: dict[str, Any] = {}
    for run_dir in sorted((storage / "small").glob("digits-*")):
        ledger = {path.name: path.read_bytes() for path in (run_dir / "ledger").glob("*")}
        lines = [json.loads(line) for line in (run_dir / "results.jsonl").read_text().splitlines()]
        found[run_dir.name] = ledger, [{key: line[key] for key in line if key not in SECONDS} for line in lines]
    return found


def statuses(storage: Path) -> dict[str, list[str]]:
    """The status of each run in MLflow by its kind."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found: dict[str, list[str]] = {"sweep": [], "trial": []}
    for mlflow_run in client.search_runs([experiment.experiment_id]):
        found[mlflow_run.data.tags["raycal.kind"]].append(mlflow_run.info.status)
    return {kind: sorted(values) for kind, values in found.items()}


def test_ray_equals_local_and_a_failed_trial_leaves_its_neighbour_alone(tmp_path: Path) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(SWEEP + "grid: {training.learning_rate: [1e18, 0.005]}\n")
    code_here, _ = run(sweep, tmp_path / "here", "--local")
    code_ray, output = run(sweep, tmp_path / "ray")

    assert (code_here, code_ray) == (1, 1)
    assert output.count("\nfailed  digits-uncertain+cluster-s0-") == 1
    assert "training diverged" in output
    assert "Traceback" not in output
    here, ray = outcome(tmp_path / "here"), outcome(tmp_path / "ray")
    assert here == ray
    assert sorted(len(lines) for _, lines in ray.values()) == [0, 3]
    expected = {"sweep": ["FAILED"], "trial": ["FAILED", "FINISHED"]}
    assert (statuses(tmp_path / "here"), statuses(tmp_path / "ray")) == (expected, expected)


def test_interrupted_sweep_leaves_nothing_running_and_resumes_to_the_same_result(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(SWEEP + "grid: {scenario: [cluster+uncertain, random]}\n")
    process = start(sweep, tmp_path / "ray")
    processes.append(process)
    assert process.stdout is not None
    for line in process.stdout:
        if "iteration 1/3" in line:
            break
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in member.name() for member in family)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[0]
    _, alive = psutil.wait_procs(family, timeout=60)

    assert process.returncode == 130
    assert "--resume goes on" in rest
    assert "Traceback" not in rest
    assert [member.cmdline() for member in alive if member.status() != psutil.STATUS_ZOMBIE] == []
    assert "RUNNING" not in str(statuses(tmp_path / "ray"))

    assert run(sweep, tmp_path / "ray", "--resume")[0] == 0
    assert run(sweep, tmp_path / "here", "--local")[0] == 0
    assert outcome(tmp_path / "ray") == outcome(tmp_path / "here")
    assert statuses(tmp_path / "ray") == {"sweep": ["FINISHED"], "trial": ["FINISHED", "FINISHED"]}
