"""Tests that the runs of a sweep in MLflow can be created again from the folder of the sweep."""

import shutil
from pathlib import Path

import pytest
from run_folders import CONFIGS, commit, content

from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.experiment import build
from raycal.report.for_mlflow import sweep_description
from raycal.report.from_mlflow import runs_from_mlflow
from raycal.report.runs import read_runs
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan
from raycal.track import main
from raycal.tracking import Tracker


def trial(seed: int) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {"dataset": "digits", "scenario": "cluster-only", "seed": seed}, context=build.REGISTRIES
    )


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    """Six trials of which one finished, one was stopped, one failed, one failed before its first iteration, one was
    killed, and one never began."""
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "storage" / "tiny")))
    configs = {config.experiment_id: config for config in (*CONFIGS, *map(trial, range(4, 8)))}
    sweep_dir.write_plan(SweepPlan(sweep="tiny", experiments=configs, threads=1))
    return sweep_dir


def experiments(sweep_dir: SweepDir) -> dict[str, ExperimentConfig]:
    plan = sweep_dir.read_plan()
    assert plan is not None
    return dict(plan.experiments)


@pytest.fixture
def tracked(uri: str, sweep_dir: SweepDir) -> SweepDir:
    """The sweep folder, sent to MLflow while the sweep ran."""
    tracker = Tracker(uri, sweep_dir, "tiny", experiments(sweep_dir))
    tracker.start()
    finished, stopped, failed, at_once, *_ = configs = list(experiments(sweep_dir).values())
    for config in configs[:5]:
        run_dir = RunWriter.of(sweep_dir, config.experiment_id)
        run_dir.begin(config)
        dataset = {"digest": f"{config.seed:016d}", "num_train": 20, "num_test": 5, "num_classes": 10}
        run_dir.write_environment({"raycal": "0.0.7", "git": "abc", "device": "cpu", "workers": 1, "dataset": dataset})
        for iteration in range(0 if config is at_once else 2):
            commit(sweep_dir, iteration, config)
            run_dir.write_montage(iteration, b"%d" % iteration)
            tracker.changed(config.experiment_id)
    RunWriter.of(sweep_dir, failed.experiment_id).fail("iteration 2: ValueError: a\nb\n")
    RunWriter.of(sweep_dir, at_once.experiment_id).fail("loading the dataset: InputError: none\n")
    RunWriter.of(sweep_dir, finished.experiment_id).finish("pool exhausted")
    RunWriter.of(sweep_dir, stopped.experiment_id).stop("asha")
    sweep_dir.folder.write("report/summary.csv", b"a,b")
    for config in (failed, at_once, finished, stopped):
        tracker.changed(config.experiment_id)
    tracker.describe(sweep_description(read_runs(sweep_dir.folder)))
    tracker.close("KILLED")
    assert tracker.backlog == 0
    return sweep_dir


def test_made_again_it_is_what_it_was(
    uri: str, tracked: SweepDir, tmp_path: Path, empty_database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'again.db')}"
    assert main([tracked.folder.path, "--uri", again]) == 0

    original = content(uri, "tiny", tmp_path / "files")
    assert content(again, "tiny", tmp_path / "files") == original
    assert [run["status"] for run in original.values()].count("FAILED") == 2
    # These are the run of the sweep and the runs of two trials.
    assert [run["status"] for run in original.values()].count("KILLED") == 3
    assert len(original) == 6
    assert sum(len(history) for run in original.values() for history in run["metrics"].values()) == 4 * 2 * 20
    assert sorted(original["tiny"]["artifacts"]) == ["plan.json", "report/summary.csv", "trials.csv"]
    first, *how_to_browse = capsys.readouterr().out.splitlines()
    assert first == f"tiny: 6 trials are in MLflow at {again}"
    assert how_to_browse[0].endswith(f" -m mlflow ui --backend-store-uri {again}")
    assert "then open http://127.0.0.1:5000/#/experiments/" in how_to_browse[1]
    assert "viewStateShareKey=raycal-" in how_to_browse[1]
    assert "finished seeds" in original["tiny"]["tags"]["mlflow.note.content"]


def test_second_time_changes_nothing(uri: str, tracked: SweepDir, tmp_path: Path) -> None:
    before = content(uri, "tiny", tmp_path / "before")
    assert main([tracked.folder.path, "--uri", uri]) == 0

    assert content(uri, "tiny", tmp_path / "after") == before


def test_what_is_missing_is_completed(uri: str, tracked: SweepDir, tmp_path: Path) -> None:
    killed = list(experiments(tracked).values())[4]
    commit(tracked, 2, killed)
    RunWriter.of(tracked, killed.experiment_id).finish("iterations")
    assert main([tracked.folder.path]) == 0  # Without --uri, the runs go to the database beside the folder.

    runs = content(uri, "tiny", tmp_path / "files")
    run = next(run for name, run in runs.items() if name.endswith(killed.experiment_id[-8:]))
    assert run["status"] == "FINISHED"
    assert [(step, value) for step, _, value in run["metrics"]["test_accuracy"]] == [(10, 0.25), (20, 0.5), (30, 0.75)]
    assert runs["tiny"]["status"] == "FAILED"  # No trial is unfinished any more.


def test_runs_read_from_mlflow_are_those_of_the_folder(uri: str, tracked: SweepDir) -> None:
    read, expected = runs_from_mlflow(uri, "tiny"), read_runs(tracked.folder.path)
    assert read.name == "tiny"
    assert [trial.status for trial in read.trials] == [
        *("finished", "stopped", "failed", "failed", "unfinished", "unfinished")
    ]
    for trial, other in zip(read.trials, expected.trials, strict=True):
        assert trial.folder == ""
        for key in ("experiment_id", "config", "status", "reason", "lines"):
            assert getattr(trial, key) == getattr(other, key)


def test_sweeps_of_one_name_are_told_apart_by_their_folder(uri: str, tracked: SweepDir, tmp_path: Path) -> None:
    other = shutil.copytree(tracked.folder.path, tmp_path / "copy" / "tiny")
    assert main([str(other), "--uri", uri]) == 0

    with pytest.raises(InputError, match=f"name the folder of one of the sweeps of this name: {other}, "):
        runs_from_mlflow(uri, "tiny")
    assert runs_from_mlflow(uri, "tiny", folder=str(other)) == runs_from_mlflow(uri, "tiny", folder=tracked.folder.path)
    with pytest.raises(InputError, match="no sweep of raycal is called huge"):
        runs_from_mlflow(uri, "huge")


def test_folder_that_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: not the folder of a sweep: it has no plan.json\n"


def test_running_sweep_is_left_alone(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    with sweep_dir.lock():
        assert main([sweep_dir.folder.path]) == 2
    assert capsys.readouterr().err == f"{sweep_dir.folder.path}: another process is running this sweep\n"


def test_server_that_is_away_is_one_line(sweep_dir: SweepDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([sweep_dir.folder.path, "--uri", "http://127.0.0.1:9"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("MLflow at http://127.0.0.1:9: ")
