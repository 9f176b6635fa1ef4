"""Tests what `raycal watch` prints about a sweep that runs in the meantime."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from run_folders import CONFIGS, commit, planned

from raycal import watch
from raycal.monitor.sweep_view import SweepView, TrialView
from raycal.storage.run_dir import TrialState
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

RANDOM, CLUSTERS = (config.experiment_id for config in CONFIGS)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return planned(tmp_path / "birds")


def meanwhile(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
    """Advance the sweep by one step whenever the command waits."""
    left = list(steps)
    monkeypatch.setattr("time.sleep", lambda seconds: left.pop(0)())


def test_a_line_says_each_change_and_the_end_ends_the_command(
    sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(sweep_dir, 0)
    meanwhile(
        monkeypatch,
        lambda: None,
        lambda: commit(sweep_dir, 1),
        lambda: RunWriter.of(sweep_dir, RANDOM).finish("iterations"),
        lambda: RunWriter.of(sweep_dir, CLUSTERS).fail("iteration 0: ValueError: too bad"),
    )

    assert watch.main([sweep_dir.folder.place]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "birds: 2 trials, 1 running, 1 planned, highest accuracy so far 0.250 (random s3)"
    assert lines[1].startswith("random s3  running  iteration 1/15  interactions 10  accuracy 0.250  about 24 s left")
    assert lines[2].startswith("random s3  running  iteration 2/15  interactions 20  accuracy 0.500  about 23 s left")
    assert lines[3].startswith("random s3  finished  iteration 2/15  interactions 20  accuracy 0.500")
    assert lines[4] == "cluster-only s3  failed  iteration 0/15  iteration 0: ValueError: too bad"
    assert lines[5:] == ["birds: 2 trials, 1 finished, 1 failed, highest accuracy so far 0.500 (random s3)"]


def test_finished_sweep_is_told_at_once(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    for config in CONFIGS:
        commit(sweep_dir, 0, config)
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")

    assert watch.main([sweep_dir.folder.place]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "{here}/nowhere: not the folder of a sweep: there is no such folder"),
        (["birds", "--every", "0"], "--every: 0 is not a positive number of seconds"),
        (["birds", "--every", "nan"], "--every: nan is not a positive number of seconds"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    sweep_dir: SweepDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert watch.main(arguments) == 2
    assert capsys.readouterr().err.splitlines() == [message.format(here=tmp_path)]


def test_table_shows_what_runs_first_and_says_what_has_no_room(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0, CONFIGS[1])
    planned, running = SweepView(sweep_dir).trials()
    assert isinstance(running, TrialView)
    failed = replace(planned, label="bald s0", state=TrialState.FAILED, reason="no luck")
    console = Console(width=120, height=watch.HEADER_AND_FOOTER + 2, record=True, file=io.StringIO())
    console.print(watch.table("birds", [planned, failed, *[planned] * 5, running], console))

    text = console.export_text()
    rows = [line for line in text.splitlines() if "/15" in line]
    assert [row.split()[0] for row in rows] == ["cluster-only", "bald"]
    assert "no luck" in rows[1]
    assert "8 trials, 6 planned, 1 failed, 1 running" in text
    assert "(6 not shown)" in text


def test_terminal_gets_a_table(sweep_dir: SweepDir) -> None:
    for config in CONFIGS:
        commit(sweep_dir, 0, config)
        RunWriter.of(sweep_dir, config.experiment_id).finish("iterations")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "raycal.watch", sweep_dir.folder.place]
    process = subprocess.Popen(command, stdout=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += (chunk := os.read(ours, 4096))
        except OSError:  # The other end of the terminal is closed.
            break
        if not chunk:
            break

    assert process.wait(60) == 0
    text = seen.decode()
    assert "time left" in text
    assert "cluster-only s3" in text
    assert "2 finished" in text
