"""Makes small experiments, ends experiments after an iteration, and reads the content that must not differ between two
runs."""

from pathlib import Path
from typing import Any

from raycal.algorithm.records import IterationResult
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.experiment import build
from raycal.storage.results import SECONDS
from raycal.storage.run_writer import RunWriter

ONE_THREAD = WorkerSettings(threads=1)


def experiment(**settings: Any) -> ExperimentConfig:
    tiny = {
        "dataset": {"name": "digits", "train_size": 60, "test_size": 30},
        "model": {"name": "mobilenet_v3_small", "weights": "none"},
        "scenario": "uncertain+cluster",
        "seed": 2,  # All budgets are used up, and every round labels clusters.
        "iterations": 3,
        "interactions_per_iteration": 10,
        "expert": {"purity_threshold": 0.6},
        "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.005, "image_size": 32},
    }
    return ExperimentConfig.model_validate(tiny | settings, context=build.REGISTRIES)


class Killed(BaseException):
    """Stands for the end of the process, because no code of the experiment catches this exception."""


class Killer:
    """Observes an experiment and ends it after an iteration."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, line: dict[str, Any], result: IterationResult) -> None:
        if result.iteration == self.after:
            raise Killed


def outcome(run_dir: RunWriter) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Everything that must not differ between runs: the bytes of the ledger, and the results without the seconds."""
    ledger = {path.name: path.read_bytes() for path in Path(run_dir.folder.path, "ledger").iterdir()}
    return ledger, [{key: line[key] for key in line if key not in SECONDS} for line in run_dir.results()]
