"""A folder to be abused: the sweep file, the storage and the cache lie in it, and it is the working directory."""

from importlib import import_module
from pathlib import Path

import pytest
from refusal import SWEEP, Refuse, refusal


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("sklearn.datasets", "raycal.learner", "raycal.sweep_run"):
        import_module(module)  # what is measured is raycal's work, not that of the first import

    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def refuse(place: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Calls the sweep with options, `--local` and a storage folder unless they say another; the refusal's lines."""

    def refuse(*options: str, dry_run: bool = False) -> list[str]:
        storage = [] if "--storage" in options else ["--storage", str(place / "storage")]
        how = "--dry-run" if dry_run else "--local"
        return refusal(place, [str(place / "sweep.yaml"), how, *storage, *options], capsys)

    return refuse
