import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import runs, trial

from raycal.report.stats.answer import answer
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.sweep.printed import how_to_browse, print_answer

TRIALS = [trial("cluster-only", 0, [0.4, 0.7]), trial("random", 0, [0.3, 0.5])]


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    """The folder of a sweep with two finished trials."""
    made = SweepDir(Folder.at(str(tmp_path / "small")))
    experiments = {one.experiment_id: one.config for one in TRIALS}
    made.write_plan(SweepPlan(sweep="small", experiments=experiments, threads=1))
    for one in TRIALS:
        writer = RunWriter.of(made, one.experiment_id)
        writer.folder.write("results.jsonl", "".join(json.dumps(line) + "\n" for line in one.lines).encode())
        writer.finish("iterations")
    return made


def test_answer_is_that_of_the_report(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(sweep_dir)

    printed = capsys.readouterr().out
    assert printed == answer(runs(*TRIALS)).replace("\n", "\n\n") + "\n\n"
    assert printed.startswith("After 200 human interactions, cluster-only has the highest accuracy, 0.700: 0.200 more")


def test_answer_is_wrapped_to_the_width_of_a_terminal(
    sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    print_answer(sweep_dir)

    printed = capsys.readouterr().out
    assert 40 < max(map(len, printed.splitlines())) <= 60
    assert [" ".join(part.split()) for part in printed.strip().split("\n\n")] == answer(runs(*TRIALS)).splitlines()


def test_answer_needs_no_drawing_library(sweep_dir: SweepDir) -> None:
    code = (
        "import sys\n"
        "from raycal.storage.folder import Folder\n"
        "from raycal.storage.sweep_dir import SweepDir\n"
        "from raycal.sweep.printed import print_answer\n"
        f"print_answer(SweepDir(Folder.at({sweep_dir.folder.path!r})))\n"
        "print(sorted({'matplotlib', 'pandas', 'torch', 'ray', 'mlflow', 'scipy.stats'} & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("After 200 human interactions")
    assert shown.stdout.splitlines()[-1] == "[]"


def test_answer_that_cannot_be_made_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        print_answer(SweepDir(Folder.at(str(tmp_path / "nothing"))))

    assert caplog.messages[0].startswith("no answer: InputError: ")
    assert capsys.readouterr().out == ""


def test_database_is_browsed_with_a_command_that_can_be_pasted() -> None:
    command, page = how_to_browse("sqlite:////my runs/mlflow.db", "/#/experiments/1").splitlines()
    assert command.endswith(" -m mlflow ui --backend-store-uri 'sqlite:////my runs/mlflow.db'")
    assert page.strip() == "then open http://127.0.0.1:5000/#/experiments/1"


@pytest.mark.parametrize("is_set", [True, False])
def test_password_of_a_database_is_not_printed(is_set: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "postgresql://ann:s3cret@host/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri if is_set else "")
    lines = how_to_browse(uri, "/#/experiments/1").splitlines()

    place = '"$MLFLOW_TRACKING_URI"' if is_set else "postgresql://USER:PASSWORD@host/mlflow"
    assert lines[0].endswith(f" -m mlflow ui --backend-store-uri {place}")
    assert ("in place of what is in capitals" in lines[1]) is not is_set
    assert "s3cret" not in "".join(lines)


def test_password_of_a_server_is_not_printed() -> None:
    assert how_to_browse("http://ann:s3cret@host:8080", "/#/x") == "http://host:8080/#/x"


def test_server_is_browsed_at_its_address() -> None:
    assert how_to_browse("http://tracking:8080/", "/#/experiments/1") == "http://tracking:8080/#/experiments/1"


@pytest.mark.parametrize("uri", ["sqlite:////runs/mlflow.db", "http://host:5000", "databricks"])
def test_nothing_is_browsed_where_nothing_was_sent(uri: str) -> None:
    assert how_to_browse(uri, "") == ""
