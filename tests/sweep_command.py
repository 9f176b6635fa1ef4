"""Runs sweeps as a user starts them, and reads the files they leave."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
from mlflow import MlflowClient
from mlflow_database import empty_mlflow_database

from raycal.storage.results import SECONDS
from raycal.sweep.__main__ import main

T = TypeVar("T")

SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 200, test_size: 100}
  model: {name: mobilenet_v3_small, weights: none}
  scenario: uncertain+cluster
  iterations: 3
  interactions_per_iteration: 20
  expert: {purity_threshold: 0.6}
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
"""


def start(sweep: Path, storage: Path, *options: str, address: str = "local") -> subprocess.Popen[str]:
    """The running command; its output goes to `<storage>.log`, where it can be read at any time.

    A new storage gets an empty MLflow database.
    """
    give_database(storage)
    command = [sys.executable, "-m", "raycal.sweep", str(sweep), "--storage", str(storage), *options]
    with log_of(storage).open("w") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": address, "PYTHONUNBUFFERED": "1"},
        )


def give_database(storage: Path) -> None:
    """Make the folder of a new storage, with an empty MLflow database, which a sweep would take seconds to make."""
    if not storage.exists():
        storage.mkdir()
        shutil.copy(empty_mlflow_database(), storage / "mlflow.db")


def run_here(sweep: Path, storage: Path) -> int:
    """Run the command without Ray in this process, which saves the imports of a new one. Return its exit code."""
    give_database(storage)
    return main([str(sweep), "--storage", str(storage), "--local"])


@contextmanager
def started(sweep: Path, storage: Path, *options: str, address: str = "local") -> Iterator[subprocess.Popen[str]]:
    """The running command, which is killed at the end if it still runs."""
    process = start(sweep, storage, *options, address=address)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def log_of(storage: Path) -> Path:
    """The file with the output of the newest command for this storage."""
    return storage.with_suffix(".log")


def run(sweep: Path, storage: Path, *options: str, address: str = "local", timeout: float = 600) -> tuple[int, str]:
    """Run the command, and return its exit code and output."""
    with started(sweep, storage, *options, address=address) as process:
        code = process.wait(timeout)
    return code, log_of(storage).read_text()


def wait_until(condition: Callable[[], T | None], *, timeout: float = 600, every: float = 0.1) -> T:
    """Wait until the condition returns a true value, and return that value."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"did not come true within {timeout} seconds")


def family(pid: int, title: str) -> list[psutil.Process]:
    """The processes below `pid` whose title begins with `title`, such as `ray::Mailbox`."""
    below = psutil.Process(pid).children(recursive=True)
    return [process for process in below if title_of(process).startswith(title)]


def title_of(process: psutil.Process) -> str:
    """The command line of a process, or the title that Ray has put in its place; empty when the process has ended."""
    try:
        return "".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def outcome(storage: Path) -> dict[str, Any]:
    """Everything that must not differ between sweeps: the bytes of each ledger, and the results without the seconds."""
    found: dict[str, Any] = {}
    for run_dir in sorted(path.parent for path in (storage / "small").glob("*/results.jsonl")):
        ledger = {path.name: path.read_bytes() for path in (run_dir / "ledger").glob("*")}
        lines = [json.loads(line) for line in (run_dir / "results.jsonl").read_text().splitlines()]
        found[run_dir.name] = ledger, [{key: line[key] for key in line if key not in SECONDS} for line in lines]
    return found


def statuses(storage: Path) -> dict[str, list[str]]:
    """The statuses of the runs in MLflow, by kind of run."""
    found: dict[str, list[str]] = {"sweep": [], "trial": []}
    for mlflow_run in mlflow_runs(storage):
        found[mlflow_run.data.tags["raycal.kind"]].append(mlflow_run.info.status)
    return {kind: sorted(values) for kind, values in found.items()}


def mlflow_runs(storage: Path) -> list[Any]:
    """Every run of the sweep in MLflow."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))
