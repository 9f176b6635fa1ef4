"""Fixtures for the tests of bad input: a working directory with a sweep file, a storage and a cache."""

from importlib import import_module
from pathlib import Path

import pytest
from refusal import SWEEP, Refuse, refusal

from raycal.config import ExperimentConfig, load_sweep
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("sklearn.datasets", "raycal.learner.learner", "raycal.sweep.command"):
        import_module(module)  # These imports come first, so that the tests measure raycal's work without them.

    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def refuse(place: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """A function that runs a sweep that must be refused, with `--local` and a storage by default, and returns its error
    lines."""

    def refuse(*options: str, dry_run: bool = False) -> list[str]:
        storage = [] if "--storage" in options else ["--storage", str(place / "storage")]
        how = "--dry-run" if dry_run else "--local"
        return refusal(place, [str(place / "sweep.yaml"), how, *storage, *options], capsys)

    return refuse


@pytest.fixture
def config(place: Path) -> ExperimentConfig:
    (config,) = load_sweep(str(place / "sweep.yaml"), build.REGISTRIES).experiments.values()
    return config


@pytest.fixture
def sweep_dir(place: Path, config: ExperimentConfig) -> SweepDir:
    """The folder of a sweep that was planned but not run."""
    sweep_dir = SweepDir(Folder.at(str(place / "storage" / "tiny")))
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments={config.experiment_id: config}, threads=1))
    return sweep_dir


@pytest.fixture
def run_dir(sweep_dir: SweepDir, config: ExperimentConfig) -> RunWriter:
    return RunWriter.of(sweep_dir, config.experiment_id)
