"""Sweeps that are run as commands, such as small ones on the bundled digits."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from raycal.bench.material import Options
from raycal.errors import InfrastructureError


def write_sweep(
    folder: Path, options: Options, *, trials: int, epochs: int, train_size: int, concurrent: int = 1
) -> Path:
    """Write the file of a sweep on the digits with `trials` trials and return its path."""
    sweep = {
        "name": "bench",
        "experiment": {
            "dataset": {"name": "digits", "train_size": train_size, "test_size": 100},
            "model": {"weights": options.weights},
            "scenario": "uncertain+cluster",
            "iterations": 2,
            "interactions_per_iteration": 20,
            "training": {"epochs": epochs, "batch_size": 16, "learning_rate": 0.005, "image_size": 32},
        },
        "grid": {"seed": list(range(trials))},
        "resources": {"cpus_per_worker": 1, "max_concurrent_trials": concurrent},
    }
    return write_yaml(folder, sweep)


def write_yaml(folder: Path, sweep: Mapping[str, Any]) -> Path:
    """Write a sweep into the file `bench.yaml` in the folder and return its path."""
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(dict(sweep)))
    return path


def run_sweep(sweep: Path, storage: Path, *arguments: str) -> None:
    """Run `python -m raycal.sweep` in a new process, with a separate cache.

    Raises:
        InfrastructureError: The process failed.
    """
    command = [sys.executable, "-m", "raycal.sweep", str(sweep), "--storage", str(storage), *arguments]
    # Otherwise the runs of the benchmark would be sent to the user's tracking server.
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["RAYCAL_CACHE"] = str(sweep.parent / "cache")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InfrastructureError(
            f"{' '.join(command[1:])} ended with exit code {done.returncode}: {done.stderr[-2000:]}"
        )
