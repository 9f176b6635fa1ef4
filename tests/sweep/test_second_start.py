"""Starts a finished sweep again, as a command of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SWEEP = """
name: tiny
experiment:
  dataset: {name: digits, train_size: 40, test_size: 20}
  model: {weights: none}
  scenario: random
  iterations: 1
  interactions_per_iteration: 10
  training: {stop: steps, steps: 1, batch_size: 8, learning_rate: 0.01, image_size: 32}
resources: {cpus_per_worker: 1}
"""
CODE = """
import sys
from raycal.sweep.__main__ import main
code = main(["sweep.yaml", "--local", *sys.argv[1:]])
print("loaded:", *sorted({"mlflow", "torch", "pandas", "sklearn"} & set(sys.modules)))
sys.exit(code)
"""


@pytest.mark.slow
def test_imports_nothing_slow_unless_something_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "sweep.yaml").write_text(SWEEP)

    def start(*options: str) -> tuple[list[str], str]:
        command = [sys.executable, "-c", CODE, *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        printed, _, loaded = done.stdout.partition("loaded:")
        # This line appears only if sending takes more than two seconds.
        printed = printed.replace("sending to MLflow (up to 60 s)\n", "")
        return loaded.split(), printed[printed.index("report  ") :]

    loaded, first = start()
    assert {"mlflow", "torch"} <= set(loaded)
    # The addresses of the charts in MLflow, too, are printed as before.
    assert "browse  " in first
    assert start("--resume") == ([], first)
    (tmp_path / "runs" / "mlflow.db").touch()
    loaded, again = start("--resume")
    assert "mlflow" in loaded
    assert again == first
