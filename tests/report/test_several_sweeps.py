from collections.abc import Sequence
from pathlib import Path

import pytest
from small_runs import trial, write_sweep

from raycal.errors import InputError
from raycal.report import write
from raycal.report.__main__ import main
from raycal.report.runs import Trial, read_runs


def sweep(folder: Path, trials: Sequence[Trial]) -> str:
    """Write the folder of a sweep that has these trials."""
    return write_sweep(folder, trials).folder.path


def test_seeds_of_two_sweeps_are_one_group(tmp_path: Path) -> None:
    first = sweep(tmp_path / "first", [trial("random", 0, [0.4, 0.5]), trial("cluster-only", 0, [0.4, 0.7])])
    second = sweep(tmp_path / "second", [trial("random", 1, [0.4, 0.6]), trial("uncertain-only", 0, [0.3, 0.4])])

    runs = read_runs(first, second)

    assert runs.name == "first and second"
    assert [(group.label, [one.config.seed for one in group.finished]) for group in runs.groups] == [
        ("random", [0, 1]),
        ("cluster-only", [0]),
        ("uncertain-only", [0]),
    ]
    assert [Path(one.folder).parent.name for one in runs.trials] == ["first", "first", "second", "second"]


def test_experiment_of_both_sweeps_counts_once_and_as_finished(tmp_path: Path) -> None:
    failed, finished = trial("random", 0, status="failed", reason="no luck"), trial("random", 0, [0.4, 0.5])
    places = [sweep(tmp_path / "first", [failed]), sweep(tmp_path / "second", [finished])]

    for order in (places, places[::-1]):
        (one,) = read_runs(*order).trials
        assert (one.status, Path(one.folder).parent.name) == ("finished", "second")


def test_one_sweep_is_read_as_before(tmp_path: Path) -> None:
    place = sweep(tmp_path / "first", [trial("random", 0, [0.4, 0.5])])

    assert read_runs(place).name == "first"
    assert read_runs(place, place).trials == read_runs(place).trials


def test_each_folder_must_be_that_of_a_sweep(tmp_path: Path) -> None:
    place = sweep(tmp_path / "first", [trial("random", 0, [0.4, 0.5])])

    with pytest.raises(InputError, match="nowhere: not the folder of a sweep: there is no such folder"):
        read_runs(place, str(tmp_path / "nowhere"))


def test_command_writes_one_report_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "plates", lambda of: [])
    first = sweep(tmp_path / "first", [trial("random", 0, [0.4, 0.5])])
    second = sweep(tmp_path / "second", [trial("cluster-only", 0, [0.4, 0.7])])

    assert main([first, second]) == 2
    assert capsys.readouterr().err == (
        "--out: give a folder for a report of several sweeps, as it belongs to none of them alone\n"
    )
    assert not (tmp_path / "first" / "report").exists()

    assert main([first, second, "--out", str(tmp_path / "both")]) == 0
    summary = (tmp_path / "both" / "summary.csv").read_text()
    assert "random" in summary
    assert "cluster-only" in summary
    assert "first and second" in (tmp_path / "both" / "report.html").read_text()
