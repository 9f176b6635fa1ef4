"""Disturbs tiny sweeps. In the end it compares everything that must not differ from an undisturbed sweep."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mlflow import MlflowClient
from object_store import ObjectStore
from processes import Starter

from raycal.storage.folder import Folder
from raycal.storage.results import SECONDS

SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 60, test_size: 40}
  model: {name: mobilenet_v3_small, weights: none}
  scenario: uncertain+cluster
  iterations: ITERATIONS
  interactions_per_iteration: 10
  expert: {purity_threshold: 0.6}
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
  seed: 1
resources: {cpus_per_worker: 1}
"""


# For each fault of a test, how often the fault was tried, and how often nothing differed in the end. The numbers are
# printed after all tests.
TALLY: dict[str, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A sweep file, and disturbed starts of the sweep.

    Attributes:
        database: An empty MLflow database that has its tables.
        store: The object store that holds the files of the sweep; None if the files are on this machine.
        with_report: Whether the sweep writes its report, which takes seconds.
        whole: The outcome of an undisturbed start.
    """

    folder: Path
    sweep: Path
    database: Path
    starters: Sequence[Starter]
    store: ObjectStore | None = None
    with_report: bool = False
    whole: dict[str, Any] = field(default_factory=dict)

    def storage(self, name: str) -> Path:
        """A new folder on this machine, which is the storage or, with an object store, holds the MLflow database."""
        place = self.folder / name
        place.mkdir()
        shutil.copy(self.database, place / "mlflow.db")
        return place

    def start(self, starter: Starter, storage: Path, *options: str, **fault: Any) -> tuple[int, str]:
        """Start or resume the sweep, with a fault if one is given. Return the exit code and the output."""
        return starter.run(
            self.log(storage), *self.arguments(storage, *options), fault={"report": self.with_report, **fault}
        )

    def arguments(self, storage: Path, *options: str) -> list[str]:
        """The arguments of the sweep's command line."""
        tracking = f"tracking.uri=sqlite:///{storage}/mlflow.db"
        return [str(self.sweep), "--local", "--resume", "--storage", self.place(storage), "--set", tracking, *options]

    def place(self, storage: Path) -> str:
        """The path or URI to which the sweep writes."""
        return str(storage) if self.store is None else self.store.uri(storage.name)

    def log(self, storage: Path) -> Path:
        """The file with the output of the newest start with this storage."""
        return storage.with_suffix(".log")

    def each(self, fault: str, cases: Sequence[Any], try_it: Callable[[Starter, Any], str | None]) -> list[str]:
        """Try all cases of a fault, one per starter at a time. Return the problems of the cases that failed."""
        free: SimpleQueue[Starter] = SimpleQueue()
        for starter in self.starters:
            free.put(starter)

        def with_starter(case: Any) -> str | None:
            starter = free.get()
            try:
                wrong = try_it(starter, case)
            finally:
                free.put(starter)
            return None if wrong is None else f"{case}: {wrong}"

        with ThreadPoolExecutor(len(self.starters)) as pool:
            wrong = [wrong for wrong in pool.map(with_starter, cases) if wrong is not None]
        TALLY[fault] = len(cases), len(cases) - len(wrong)
        return wrong

    def difference(self, storage: Path) -> str | None:
        """A description of what differs from the undisturbed sweep, in the files and in MLflow; None if nothing
        differs."""
        found = self.outcome(storage)
        different = [name for name in {**self.whole, **found} if self.whole.get(name) != found.get(name)]
        return f"different: {different}" if different else None

    def fix(self, starter: Starter, storage: Path) -> str | None:
        """Resume the sweep undisturbed. Return a description of what still differs, or None."""
        code, output = self.start(starter, storage)
        if code != 0:
            return f"exit code {code}: {output}"
        wrong = self.difference(storage)
        shutil.rmtree(storage)
        return wrong

    def outcome(self, storage: Path) -> dict[str, Any]:
        """Everything that must not differ, by name: the content of the files without times, and the runs and points in
        MLflow."""
        return comparable(files(Folder.at(self.place(storage)).folder("small"))) | {"MLflow": tracked(storage)}


def files(folder: Folder) -> dict[str, bytes]:
    """The content of all files in a folder, by name; on this machine the hidden files are included."""
    if not folder.is_local:
        return {name: folder.read(name) or b"" for name in folder.all_names()}
    root = Path(folder.path)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def comparable(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of the files that must not differ."""
    found: dict[str, Any] = {}
    for name, content in files.items():
        last = Path(name).name
        if last in ("owner.json", "started.json", "environment.json", ".lock", ".runs.sha256"):
            continue  # These files say who ran the sweep, when and where, or hold measured times.
        if last == "results.jsonl":
            found[name] = [
                {key: value for key, value in json.loads(line).items() if key not in SECONDS}
                for line in content.splitlines()
            ]
        elif last == "plan.json":
            found[name] = {k: v for k, v in json.loads(content).items() if k not in ("started", "id", "sha256")}
        elif last == "finished.json":
            found[name] = json.loads(content)["reason"], sorted(json.loads(content)["files"])
        else:
            found[name] = content
    return found


def tracked(storage: Path, name: str = "small") -> list[Any]:
    """The kind, status, parameters and points of each run of a sweep in MLflow."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return sorted(
        (
            run.data.tags["raycal.kind"],
            run.data.tags.get("raycal.experiment_id", ""),
            run.info.status,
            sorted(run.data.params.items()),
            {
                key: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
                if key not in SECONDS
            },
        )
        for run in runs
    )


def operations(disturbed: Disturbed) -> list[str]:
    """Every write and removal of a file in an undisturbed start, in order."""
    storage = disturbed.storage("counted")
    try:
        return _noted(disturbed, storage)
    finally:
        shutil.rmtree(storage)


def _noted(disturbed: Disturbed, storage: Path) -> list[str]:
    notes = storage.with_suffix(".notes")
    notes.unlink(missing_ok=True)
    code, output = disturbed.start(disturbed.starters[0], storage, kind="count", to=str(notes))
    assert code == 0, output
    assert disturbed.difference(storage) is None
    return notes.read_text().splitlines()
