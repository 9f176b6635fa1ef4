"""The trials of the paper's sweep on CIFAR-10: their commands, and their results while they run."""

import json
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from raycal.bench.figure import Figure
from raycal.storage.results import SECONDS

SWEEP = "sweeps/paper_cifar10.yaml"
# The paper claims that `uncertain+cluster` needs fewer interactions than `random`; `supervised` is the upper bound.
SCENARIOS = ("uncertain+cluster", "supervised", "random", "cluster-only")
SMALL_FILES = ("results.jsonl", "config.yaml", "environment.json", "error.txt")
QUICK = (
    "iterations=2",
    "interactions_per_iteration=8",
    "training.epochs=1",
    "training.batch_size=8",
    "training.image_size=32",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial of one scenario of the sweep, with its own storage folder.

    Attributes:
        seen: The iterations whose figures were read so far.
    """

    scenario: str
    storage: Path
    seen: set[int] = field(default_factory=set)

    def command(
        self, root: Path, images: Path, weights: str, model: str, *, clustering: str, quick: bool = False
    ) -> list[str]:
        """The command `python -m raycal.sweep` that runs this trial alone."""
        settings = [
            f"dataset={json.dumps({'name': 'image_folder', 'root': str(images)})}",
            f"model={json.dumps({'name': model, 'weights': weights})}",
            f"clustering.name={clustering}",
            f"grid.scenario={json.dumps([self.scenario])}",
            "grid.seed=[0]",
            *(QUICK if quick else ()),
        ]
        command = [sys.executable, "-m", "raycal.sweep", str(root / SWEEP), "--local", "--storage", str(self.storage)]
        return command + [part for setting in settings for part in ("--set", setting)]

    def new_figures(self) -> Iterator[Figure]:
        """The accuracy after each iteration that was saved since the last call."""
        for line in self._lines():
            if line["iteration"] not in self.seen:
                self.seen.add(line["iteration"])
                yield Figure(
                    benchmark="sweep",
                    name=f"{self.scenario}, {line['interactions']:,} interactions",
                    value=line["test_accuracy"],
                    unit="accuracy",
                    arms={"seconds": [_seconds(line)]},
                    setting=line,
                )

    def pace(self) -> Iterator[Figure]:
        """The median seconds of the trial's finished iterations; no figure if no iteration has finished."""
        seconds = [_seconds(line) for line in self._lines()]
        if seconds:
            yield Figure(
                benchmark="sweep",
                name=f"{self.scenario}, an iteration",
                value=median(seconds),
                unit="s",
                arms={self.scenario: seconds},
                setting={"iterations": len(seconds), "arms": "seconds of each iteration"},
            )

    def _lines(self) -> list[dict[str, Any]]:
        files = [path.read_text().splitlines() for path in self.storage.glob("*/*/results.jsonl")]
        return [json.loads(line) for lines in files for line in lines]


def image_root(images: Path) -> Path:
    """The folder that has the subfolders `train` and `test`, or one subfolder per class. It may lie inside folders that
    contain nothing else."""
    while True:
        inside = [path for path in images.iterdir() if not path.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir():
            return images
        images = inside[0]


def pack_runs(trials: Sequence[Trial], target: Path) -> None:
    """Pack the small files of the trials' run folders."""
    with tarfile.open(target, "w:gz") as packed:
        for trial in trials:
            for name in SMALL_FILES:
                for path in sorted(trial.storage.glob(f"*/*/{name}")):
                    packed.add(path, path.relative_to(trial.storage.parent))


def _seconds(line: dict[str, Any]) -> float:
    return float(sum(line[name] for name in SECONDS))
