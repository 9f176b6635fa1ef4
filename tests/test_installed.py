import sys
from pathlib import Path

import pytest

from raycal import pool, track
from raycal.installed import is_installed, need_mlflow, need_ray
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep import __main__ as sweep
from raycal.tracking.untracked import why_untracked

SWEEP = """
name: tiny
experiment:
  dataset: {name: digits, train_size: 40, test_size: 20}
  model: {weights: none}
  scenario: random
  iterations: 1
  interactions_per_iteration: 10
  training: {epochs: 1, image_size: 32}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    return "tiny.yaml"


@pytest.fixture
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


def test_what_can_be_imported_is_installed() -> None:
    assert is_installed("numpy")
    assert not is_installed("no_such_package_of_anybody")
    need_ray()
    need_mlflow()


@pytest.mark.usefixtures("no_mlflow", "no_ray")
def test_local_sweep_runs_without_mlflow_and_ray(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    storage = tmp_path / "a storage"

    assert sweep.main([file, "--local", "--storage", str(storage)]) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if "MLflow" in line]
    assert lines == [
        "  MLflow  is not installed, so nothing is tracked; to send it later: pip install mlflow, then "
        f"python -m raycal.track '{storage}/tiny'"
    ]
    assert "mlflow" not in printed.err.lower()
    assert "browse" not in printed.out
    assert f"report  {storage}/tiny/report/report.html" in printed.out
    assert not (storage / "mlflow.db").exists()

    assert sweep.main([file, "--local", "--resume", "--storage", str(storage)]) == 0
    # Nothing is left to run, so Ray is not needed.
    assert sweep.main([file, "--resume", "--storage", str(storage)]) == 0


@pytest.mark.usefixtures("no_mlflow")
def test_tracking_address_of_the_sweep_file_is_in_the_command_that_sends_later(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("raycal.sweep.run.run_experiment", lambda *arguments, **options: False)

    sweep.main([file, "--local", "--set", "tracking.uri=http://me:secret@nowhere.invalid:5000"])
    printed = capsys.readouterr().out
    assert f"raycal.track {tmp_path}/runs/tiny --uri http://USER:PASSWORD@nowhere.invalid:5000\n" in printed
    assert "secret" not in printed


@pytest.mark.usefixtures("no_ray")
def test_sweep_on_ray_without_ray_is_refused_in_a_line(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main([file]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        "Ray is not installed: pip install 'ray[default,train,tune]', "
        "or add --local to run one trial after another in this process\n"
    )
    assert printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [file]

    assert sweep.main([file, "--dry-run"]) == 0


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("arguments", [[], ["digits-random-s0-1a2b3c4d"]])
def test_looking_at_pools_without_ray_is_refused_in_a_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pool.main(arguments) == 2
    assert capsys.readouterr().err == "Ray is not installed: pip install 'ray[default,train,tune]'\n"


@pytest.mark.usefixtures("no_mlflow")
def test_sending_to_mlflow_without_mlflow_is_refused_in_a_line(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("raycal.sweep.run.run_experiment", lambda *arguments, **options: False)
    sweep.main([file, "--local"])
    capsys.readouterr()

    assert track.main([str(tmp_path / "runs/tiny")]) == 2
    assert capsys.readouterr().err == "MLflow is not installed: pip install mlflow\n"


def test_command_that_sends_later_has_placeholders_for_a_password(tmp_path: Path) -> None:
    line = why_untracked(SweepDir(Folder.at(str(tmp_path))), "postgresql://ann:s3cret@host/db")

    assert line.endswith(f"then python -m raycal.track {tmp_path} --uri postgresql://USER:PASSWORD@host/db")
