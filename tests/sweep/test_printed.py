import logging
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import runs, trial, write_sweep

from raycal.report.answered import AnsweredSweep
from raycal.report.stats.answer import answer
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep.printed import print_answer

TRIALS = [trial("cluster-only", 0, [0.4, 0.7]), trial("random", 0, [0.3, 0.5])]


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    """The folder of a sweep with two finished trials."""
    return write_sweep(tmp_path / "small", TRIALS)


def test_answer_is_that_of_the_report(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(AnsweredSweep(sweep_dir.folder))

    printed = capsys.readouterr().out
    assert printed == answer(runs(*TRIALS)).replace("\n", "\n\n") + "\n\n"
    assert printed.startswith("After 200 human interactions, cluster-only has the highest accuracy, 0.700: 0.200 more")


def test_answer_is_wrapped_to_the_width_of_a_terminal(
    sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    print_answer(AnsweredSweep(sweep_dir.folder))

    printed = capsys.readouterr().out
    assert 40 < max(map(len, printed.splitlines())) <= 60
    assert [" ".join(part.split()) for part in printed.strip().split("\n\n")] == answer(runs(*TRIALS)).splitlines()


def test_answer_needs_no_drawing_library(sweep_dir: SweepDir) -> None:
    code = (
        "import sys\n"
        "from raycal.storage.folder import Folder\n"
        "from raycal.report.answered import AnsweredSweep\n"
        "from raycal.sweep.printed import print_answer\n"
        f"print_answer(AnsweredSweep(Folder.at({sweep_dir.folder.path!r})))\n"
        "print(sorted({'matplotlib', 'pandas', 'torch', 'ray', 'mlflow', 'scipy.stats'} & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("After 200 human interactions")
    assert shown.stdout.splitlines()[-1] == "[]"


def test_answer_that_cannot_be_made_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        print_answer(AnsweredSweep(Folder.at(str(tmp_path / "nothing"))))

    assert caplog.messages[0].startswith("no answer: InputError: ")
    assert capsys.readouterr().out == ""
