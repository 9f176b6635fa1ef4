import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from filelock import FileLock
from small_iterations import one_iteration

import raycal
from raycal.config import ExperimentConfig, WorkerSettings, load_sweep
from raycal.experiment import build
from raycal.report.freshness import record
from raycal.report.runs import Runs
from raycal.storage.folder import Folder
from raycal.storage.inputs import ExpectedInputs
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir
from raycal.sweep import run
from raycal.sweep.__main__ import main

SWEEP = """\
name: tiny
experiment:
  dataset: {name: digits, train_size: 40, test_size: 20}
  model: {weights: none}
  scenario: random
  iterations: 2
  interactions_per_iteration: 10
  training: {epochs: 1, image_size: 32}
grid:
  scenario: [random, uncertain+cluster]
  seed: [0, 1]
"""
OPTUNA = f"""\
{SWEEP.partition("grid:")[0]}search:
  algorithm: optuna
  num_samples: 5
  space:
    training.learning_rate: {{loguniform: [1e-3, 1e-2]}}
"""
ID = re.compile(r"digits-(?:random|uncertain\+cluster)-s\d-[0-9a-f]{8}")


class FakeTracker:
    """Records the calls to a tracker."""

    made: list["FakeTracker"]
    pages: ClassVar[dict[str, str]] = {"all trials": "/#/experiments/1/runs"}
    is_known_away = False

    def __init__(self, uri: str, sweep_dir: SweepDir, sweep: str, experiments: Mapping[str, ExperimentConfig]) -> None:
        self.uri, self.experiments = uri, list(experiments)
        self.events: list[str] = []
        FakeTracker.made.append(self)

    def start(self) -> None:
        self.events.append("start")

    def changed(self, experiment_id: str) -> None:
        self.events.append(experiment_id)

    def describe(self, text: str) -> None:
        self.description = text

    def close(self, status: str) -> None:
        self.events.append(status)


CONCLUDE = run._conclude


class FakeRunner:
    """Commits one iteration of an experiment, and finishes it unless it is set to fail or to be interrupted."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.workers: set[WorkerSettings] = set()
        self.failing: set[str] = set()
        self.interrupted = False

    def __call__(
        self,
        config: ExperimentConfig,
        run_dir: RunWriter,
        worker: WorkerSettings,
        *,
        observers: tuple[Any, ...] = (),
        expected: ExpectedInputs | None = None,
    ) -> bool:
        self.ran.append(config.experiment_id)
        self.workers.add(worker)
        run_dir.begin(config)
        if config.experiment_id in self.failing:
            run_dir.fail("iteration 0: ValueError: a reason\n")
            return False
        result = one_iteration()
        line = run_dir.commit(result, b"model")
        for observe in observers:
            observe(line, result)
        if self.interrupted:
            raise KeyboardInterrupt
        run_dir.finish("iterations")
        return True


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(SWEEP)
    return str(path)


@pytest.fixture
def ids(sweep: str) -> list[str]:
    return list(load_sweep(sweep, build.REGISTRIES).experiments)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """A runner of experiments; with it, a sweep trains nothing, tracks nothing and draws nothing."""
    runner = FakeRunner()
    FakeTracker.made = []
    monkeypatch.setattr("raycal.sweep.run.run_experiment", runner)
    monkeypatch.setattr("raycal.sweep.run.Tracker", FakeTracker)
    monkeypatch.setattr("raycal.sweep.run._conclude", lambda job, sweep, tracker: None)
    return runner


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """A function that runs a command, checks that it is refused and leaves no file, and returns its error lines."""

    def refused(*arguments: str) -> list[str]:
        before = sorted(tmp_path.rglob("*"))
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Traceback" not in printed.err
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err.splitlines()

    return refused


LABELS = ["random s0", "random s1", "uncertain+cluster s0", "uncertain+cluster s1"]


class TestDryRun:
    def test_prints_every_trial_resources_and_cost(
        self, sweep: str, ids: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--dry-run"]) == 0

        printed = capsys.readouterr().out
        assert ID.findall(printed) == ids
        assert re.findall(r"-[0-9a-f]{8} +(\S.*?) +20 interactions", printed) == LABELS
        assert "tiny: 4 trials, 80 interactions" in printed
        assert printed.count("20 interactions  pool 40  test 20") == 4
        assert re.search(
            r"resources on this machine: \d+ trials? at a time, 1 worker each with \d+ CPU threads?", printed
        )
        assert "rough estimate: " in printed

    def test_prints_the_base_and_the_space_of_a_search_that_decides_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("raycal.config.sweep.is_installed", lambda name: True)
        path = tmp_path / "optuna.yaml"
        path.write_text(OPTUNA)
        assert main([str(path), "--dry-run"]) == 0

        printed = capsys.readouterr().out
        assert len(ID.findall(printed)) == 1
        assert "  training.learning_rate: loguniform [0.001, 0.01]\n" in printed
        assert "tiny: 5 trials chosen by optuna, about 100 interactions\n" in printed
        assert "rough estimate: " in printed

    def test_starts_and_creates_nothing(self, sweep: str, runner: FakeRunner, storage: Path, tmp_path: Path) -> None:
        before = sorted(tmp_path.rglob("*"))

        assert main([sweep, "--dry-run", "--local", "--storage", str(storage)]) == 0
        assert sorted(tmp_path.rglob("*")) == before
        assert runner.ran == []
        assert FakeTracker.made == []

    def test_shows_the_chosen_trials_alone(
        self, sweep: str, ids: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--dry-run", "--only", "*-random-*"]) == 0

        assert ID.findall(capsys.readouterr().out) == ids[:2]

    def test_follows_the_overrides(self, sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([sweep, "--dry-run", "--set", "seed=7", "--set", "iterations=1", "--set", "name=other"]) == 0

        printed = capsys.readouterr().out
        assert [match.rsplit("-", 2)[1] for match in ID.findall(printed)] == ["s7", "s7"]
        assert "other: 2 trials, 20 interactions" in printed

    def test_of_a_sweep_that_was_started_needs_no_resume(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([sweep, "--local", "--storage", str(storage)])
        capsys.readouterr()

        assert main([sweep, "--dry-run", "--storage", str(storage)]) == 0
        printed = capsys.readouterr().out
        assert ID.findall(printed) == ids
        assert printed.endswith("\ndone: 4; to run: 0; nothing is left to run\n")

    def test_of_a_sweep_for_gpus_works_on_a_machine_without(
        self, sweep: str, ids: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--dry-run", "--set", "resources.gpus_per_worker=1"]) == 0
        assert ID.findall(capsys.readouterr().out) == ids

    def test_takes_the_price_and_the_rate_of_the_users_gpu(
        self, sweep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        figure = {"benchmark": "gpu training", "name": "raycal, best batch", "value": 9e3, "unit": "img/s"}
        bench = {"date": "2026-11-30", "machine": {"device": "NVIDIA L4"}, "figures": [figure]}
        figure["setting"] = {"image_size": 224}
        path = tmp_path / "bench.json"
        path.write_text(json.dumps(bench))
        assert main([sweep, "--dry-run", "--price", "2.5", "--bench", str(path)]) == 0

        printed = capsys.readouterr().out
        assert "on NVIDIA L4 (measured at 224 px on 2026-11-30): under 0.1 GPU hours" in printed
        assert "at 2.5 USD per GPU hour: under 0.01 USD" in printed


class TestRefusal:
    def test_every_problem_of_the_file_is_said(self, refused: Callable[..., list[str]], tmp_path: Path) -> None:
        path = tmp_path / "bad.yaml"
        path.write_text(SWEEP.replace("iterations: 2", "iterations: 0").replace("epochs", "epoch"))

        assert sorted(refused(str(path))) == [
            f"{path}:6: experiment.iterations: should be greater than or equal to 1, not 0",
            f"{path}:8: experiment.training.epoch: unknown key (did you mean 'epochs'?)",
        ]

    def test_missing_file(self, refused: Callable[..., list[str]]) -> None:
        assert refused("nothing.yaml", "--local") == ["nothing.yaml: No such file or directory"]

    def test_bad_override(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--set", "seed") == [
            "--set seed: should be KEY=VALUE, as in --set training.learning_rate=1e-3"
        ]

    @pytest.mark.parametrize("price", ["-1", "nan", "free"])
    def test_price_that_is_none(self, refused: Callable[..., list[str]], sweep: str, price: str) -> None:
        assert refused(sweep, "--dry-run", "--price", price) == [
            f"--price {price}: should be USD per GPU hour, 0 or more, such as 2.5, or clouds"
        ]

    def test_price_and_rate_without_an_estimate(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--local", "--price", "2.5", "--bench", "bench.json") == [
            "--bench: is used only by the estimate; add --dry-run",
            "--price: is used only by the estimate; add --dry-run",
        ]

    def test_bench_file_that_is_missing(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--dry-run", "--bench", "no.json") == ["--bench no.json: No such file or directory"]

    def test_pattern_that_matches_nothing(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--only", "eurosat-*") == [
            "--only eurosat-*: matches none of the 4 trials; --dry-run lists them"
        ]

    def test_pattern_for_trials_that_are_not_known(
        self, refused: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("raycal.config.sweep.is_installed", lambda name: True)
        path = tmp_path / "optuna.yaml"
        path.write_text(OPTUNA)

        assert refused(str(path), "--only", "*-s0-*") == [
            "--only *-s0-*: the trials of this sweep are not known before it runs"
        ]

    def test_dataset_and_weights_that_are_not_there_are_said_at_once(
        self, refused: Callable[..., list[str]], sweep: str
    ) -> None:
        lines = refused(sweep, "--set", "dataset={name: image_folder, root: nowhere}", "--set", "model.weights=w.pt")

        assert len(lines) == 2
        assert "nowhere" in lines[0]
        assert lines[1] == "experiment.model.weights: w.pt: no such file (or imagenet, or none)"

    def test_more_images_than_the_dataset_has(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--set", "dataset.train_size=5000") == [
            "digits: train_size: 5000 is more than the 1437 images there are; give at most 1437"
        ]

    def test_storage_that_is_a_file(self, refused: Callable[..., list[str]], sweep: str, storage: Path) -> None:
        storage.write_text("")

        (line,) = refused(sweep, "--local", "--storage", str(storage))

        assert str(storage) in line

    def test_storage_below_a_file(self, refused: Callable[..., list[str]], sweep: str, storage: Path) -> None:
        storage.write_text("")

        (line,) = refused(sweep, "--local", "--storage", str(storage / "below"))

        assert str(storage) in line

    def test_storage_whose_sweep_folder_is_a_file(
        self, refused: Callable[..., list[str]], sweep: str, storage: Path
    ) -> None:
        storage.mkdir()
        (storage / "tiny").write_text("")

        (line,) = refused(sweep, "--local", "--storage", str(storage))

        assert str(storage / "tiny") in line

    def test_storage_on_no_file_system(self, refused: Callable[..., list[str]], sweep: str) -> None:
        (line,) = refused(sweep, "--storage", "foo://bucket")

        assert line.startswith("--storage foo://bucket: ")

    def test_relative_storage_in_a_ray_job(
        self, refused: Callable[..., list[str]], sweep: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")

        (line,) = refused(sweep, "--storage", "runs")

        assert line.startswith("--storage runs: in a Ray job give an absolute path or a URI")

    def test_remote_storage_without_a_server_to_track_on(self, refused: Callable[..., list[str]], sweep: str) -> None:
        (line,) = refused(sweep, "--storage", "mock:///bucket")

        assert line.startswith("tracking.uri: name an MLflow server")

    def test_plan_that_cannot_be_read(self, refused: Callable[..., list[str]], sweep: str, storage: Path) -> None:
        (storage / "tiny").mkdir(parents=True)
        (storage / "tiny" / "plan.json").write_text('{"sweep": "ti')

        (line,) = refused(sweep, "--local", "--resume", "--storage", str(storage))

        assert line.startswith(f"{storage}/tiny/plan.json: not a plan of raycal ")

    def test_resources_that_this_machine_has_not(
        self, sweep: str, runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = [sweep, "--local", "--set", "resources.cpus_per_worker=4096", "--storage", str(storage)]

        assert main(command) == 2
        assert "resources: a worker needs 4096 CPUs" in capsys.readouterr().err
        assert (runner.ran, storage.exists()) == ([], False)

    @pytest.mark.parametrize("arguments", [[], ["a.yaml", "b.yaml"], ["a.yaml", "--unknown"], ["a.yaml", "--set"]])
    def test_command_line_that_is_none(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)

        assert stopped.value.code == 2
        assert "usage: python -m raycal.sweep" in capsys.readouterr().err


class TestRun:
    def test_every_trial_runs_and_the_table_is_printed(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--local", "--storage", str(storage)]) == 0

        printed = capsys.readouterr().out
        assert runner.ran == ids
        assert all((storage / "tiny" / experiment_id / "results.jsonl").exists() for experiment_id in ids)
        assert (storage / "tiny" / "plan.json").exists()
        assert "tiny: 4 trials, 4 to run" in printed
        assert f"sqlite:///{storage}/mlflow.db" in printed
        assert printed.count("0.500 ± 0.000") == 2
        assert "failed" not in printed

    @pytest.mark.parametrize(("gpus", "shown"), [("0", ""), ("auto", "0,1")])
    def test_resources_given_hold_in_this_process_too(
        self, gpus: str, shown: str, sweep: str, runner: FakeRunner, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        given = ["cpus_per_worker=1", "compile=true", f"gpus_per_worker={gpus}"]
        settings = [word for setting in given for word in ("--set", f"resources.{setting}")]
        assert main([sweep, "--local", "--storage", str(storage), *settings]) == 0

        assert {(worker.threads, worker.compile) for worker in runner.workers} == {(1, True)}
        assert os.environ["CUDA_VISIBLE_DEVICES"] == shown

    def test_tracker_hears_of_every_trial_and_of_the_end(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path
    ) -> None:
        main([sweep, "--local", "--storage", str(storage)])

        (tracker,) = FakeTracker.made
        assert tracker.experiments == ids
        assert (tracker.events[0], tracker.events[-1]) == ("start", "FINISHED")
        assert set(tracker.events[1:-1]) == set(ids)

    def test_failed_trial_is_listed_and_does_not_stop_its_neighbors(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runner.failing = {ids[1]}

        assert main([sweep, "--local", "--storage", str(storage)]) == 1
        printed = capsys.readouterr().out
        assert runner.ran == ids
        assert [line.split()[1] for line in printed.splitlines() if line.startswith("failed")] == [ids[1]]
        assert "iteration 0: ValueError: a reason" in printed
        assert f"{storage}/tiny/{ids[1]}" in printed
        assert FakeTracker.made[0].events[-1] == "FAILED"

    def test_second_start_without_resume_is_refused(
        self,
        sweep: str,
        runner: FakeRunner,
        storage: Path,
        refused: Callable[..., list[str]],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        main([sweep, "--local", "--storage", str(storage)])
        runner.ran.clear()
        capsys.readouterr()

        assert refused(sweep, "--local", "--storage", str(storage)) == [
            f"{storage}/tiny: this sweep was started before; "
            "add --resume to continue, or take another name or --storage"
        ]
        assert runner.ran == []

    def test_resume_runs_only_what_is_unfinished(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path
    ) -> None:
        runner.failing = {ids[2]}
        main([sweep, "--local", "--storage", str(storage)])
        runner.failing = set()
        runner.ran.clear()

        assert main([sweep, "--local", "--resume", "--storage", str(storage)]) == 0
        assert runner.ran == [ids[2]]

    def test_trial_that_was_stopped_early_needs_nothing_more(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runner.failing = {ids[2]}
        main([sweep, "--local", "--storage", str(storage)])
        RunWriter(Folder.at(str(storage / "tiny" / ids[2]))).stop("asha")
        runner.ran.clear()

        assert main([sweep, "--local", "--resume", "--storage", str(storage)]) == 0
        assert runner.ran == []
        assert FakeTracker.made[-1].events[-1] == "FINISHED"
        assert "1 trial was stopped early by asha and is not in the table" in capsys.readouterr().out

    def test_resume_of_a_finished_sweep_runs_nothing_and_prints_the_table(
        self, sweep: str, runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([sweep, "--local", "--storage", str(storage)])
        runner.ran.clear()
        capsys.readouterr()

        assert main([sweep, "--resume", "--storage", str(storage)]) == 0
        printed = capsys.readouterr().out
        assert runner.ran == []
        assert "4 trials, 0 to run" in printed
        assert printed.count("0.500 ± 0.000") == 2

    def test_resume_of_a_finished_sweep_needs_no_machine_that_fits_it(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert main([sweep, "--local", "--storage", str(storage)]) == 0
        options = ["--storage", str(storage), "--resume", "--set", "resources.cpus_per_worker=100000"]
        assert main([sweep, *options]) == 0

    def test_resume_with_another_setting_is_refused_with_its_key(
        self,
        sweep: str,
        runner: FakeRunner,
        storage: Path,
        refused: Callable[..., list[str]],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        main([sweep, "--local", "--storage", str(storage)])
        capsys.readouterr()

        assert refused(sweep, "--resume", "--set", "training.epochs=2", "--storage", str(storage)) == [
            "--resume: training.epochs was 1 when the sweep was planned and is now 2; "
            "put it back, or give the sweep another name or --storage"
        ]

    def test_extended_sweep_runs_only_what_is_new(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = storage / "tiny"
        options = [sweep, "--storage", str(storage)]
        assert main([*options, "--local", "--set", "grid.seed=[0]"]) == 0
        assert runner.ran == [ids[0], ids[2]]
        runner.ran.clear()
        before = [(folder / key / "results.jsonl").stat().st_mtime_ns for key in (ids[0], ids[2])]
        capsys.readouterr()

        assert main([*options, "--dry-run"]) == 0
        dry_run = capsys.readouterr().out.splitlines()
        assert dry_run[0] == "tiny: 2 trials are new"
        assert [line.split()[-1] for line in dry_run if line.startswith("digits-")] == ["done", "new", "done", "new"]
        assert set(json.loads((folder / "plan.json").read_text())["experiments"]) == {ids[0], ids[2]}

        assert main([*options, "--local", "--resume"]) == 0
        assert capsys.readouterr().out.startswith("tiny: 2 trials are new\ntiny: 4 trials, 2 to run\n")
        assert runner.ran == [ids[1], ids[3]]
        plan = json.loads((folder / "plan.json").read_text())
        assert list(plan["experiments"]) == [ids[0], ids[2], ids[1], ids[3]]
        assert "removed" not in plan
        assert before == [(folder / key / "results.jsonl").stat().st_mtime_ns for key in (ids[0], ids[2])]

    def test_what_is_no_longer_in_the_file_is_kept_marked_and_not_run(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = [sweep, "--storage", str(storage), "--local"]
        assert main([*options, "--only", "*-s0-*"]) == 0
        runner.ran.clear()
        capsys.readouterr()

        assert main([*options, "--resume", "--set", "grid.seed=[0]"]) == 0

        words = "2 trials planned earlier are no longer in the sweep file: they are kept and marked"
        assert capsys.readouterr().out.startswith(f"tiny: {words}\ntiny: 2 trials, 0 to run\n")
        assert runner.ran == []
        plan = json.loads((storage / "tiny" / "plan.json").read_text())
        assert (list(plan["experiments"]), plan["removed"]) == (ids, [ids[1], ids[3]])
        rows = (storage / "tiny" / "trials.csv").read_text().splitlines()
        assert [row.rpartition(",")[2] for row in rows] == ["in_sweep_file", "yes", "no", "yes", "no"]

        assert main([*options, "--resume"]) == 0  # The sweep file contains these trials again.
        assert runner.ran == [ids[1], ids[3]]
        assert "removed" not in json.loads((storage / "tiny" / "plan.json").read_text())

    def test_label_picks_a_trial(self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path) -> None:
        assert main([sweep, "--storage", str(storage), "--local", "--only", "random s1"]) == 0
        assert runner.ran == [ids[1]]

    def test_plan_that_another_process_changed_meanwhile_is_not_overwritten(
        self,
        sweep: str,
        runner: FakeRunner,
        storage: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        options = [sweep, "--storage", str(storage), "--local"]
        assert main([*options, "--set", "grid.seed=[0]"]) == 0
        allocate = run.allocate_trials

        def extended_meanwhile(*args: Any, **settings: Any) -> Any:
            monkeypatch.setattr(run, "allocate_trials", allocate)
            assert main([*options, "--resume", "--set", "grid.seed=[0,2]"]) == 0
            return allocate(*args, **settings)

        monkeypatch.setattr(run, "allocate_trials", extended_meanwhile)

        assert main([*options, "--resume"]) == 2
        assert capsys.readouterr().err == (
            f"{storage / 'tiny'}: another process has just changed the plan; start again with --resume\n"
        )
        assert len(json.loads((storage / "tiny" / "plan.json").read_text())["experiments"]) == 4

    def test_part_of_a_sweep_is_run_and_the_rest_at_a_later_start(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path
    ) -> None:
        assert main([sweep, "--local", "--only", "*-s0-*", "--storage", str(storage)]) == 0
        assert runner.ran == [ids[0], ids[2]]
        runner.ran.clear()

        assert main([sweep, "--local", "--resume", "--storage", str(storage)]) == 0
        assert runner.ran == [ids[1], ids[3]]

    def test_ctrl_c_ends_with_its_own_code_and_tells_how_to_go_on(
        self, sweep: str, ids: list[str], runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runner.interrupted = True

        assert main([sweep, "--local", "--storage", str(storage)]) == 130
        assert "--resume" in capsys.readouterr().err
        assert FakeTracker.made[0].events[-1] == "KILLED"
        runner.interrupted = False
        assert main([sweep, "--local", "--resume", "--storage", str(storage)]) == 0
        assert runner.ran == [ids[0], *ids]

    def test_report_is_drawn_when_the_runs_have_changed_since(
        self, sweep: str, runner: FakeRunner, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn = []

        def write(runs: Runs, folder: Folder, answers: object) -> None:
            drawn.append(sum(trial.status == "finished" for trial in runs.trials))
            folder.write("report.html", b"")
            record(runs, folder)

        monkeypatch.setattr("raycal.sweep.run._conclude", CONCLUDE)
        monkeypatch.setattr("raycal.report.write.write_report", write)
        for options in (["--only", "*-random-*"], ["--resume"], ["--resume"]):
            assert main([sweep, "--local", "--storage", str(storage), *options]) == 0
        assert drawn == [2, 4]
        assert "| random | 2 of 2 |" in FakeTracker.made[-1].description

        (storage / "tiny/report/report.html").unlink()
        assert main([sweep, "--local", "--storage", str(storage), "--resume"]) == 0
        assert drawn == [2, 4, 4]

    def test_runs_are_read_and_answered_once_for_mlflow_the_report_and_the_printed_answer(
        self,
        sweep: str,
        runner: FakeRunner,
        storage: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("raycal.sweep.run._conclude", CONCLUDE)
        calls = list[str]()
        for name in ("raycal.report.runs._open", "raycal.report.stats.answer._answer"):
            module, _, function = name.rpartition(".")
            called = getattr(import_module(module), function)
            monkeypatch.setattr(
                name,
                lambda *args, function=function, called=called, **kwargs: (
                    calls.append(function) or called(*args, **kwargs)
                ),
            )

        assert main([sweep, "--local", "--storage", str(storage)]) == 0

        assert calls == ["_open", "_answer"]
        first = "have the same accuracy, 0.500"
        texts = (
            capsys.readouterr().out,
            FakeTracker.made[-1].description,
            (storage / "tiny/report/report.html").read_text(),
        )
        assert [text.count(first) >= 1 for text in texts] == [True, True, True]

    def test_folder_of_a_running_sweep_is_refused(
        self, sweep: str, runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (storage / "tiny").mkdir(parents=True)
        with FileLock(storage / "tiny" / ".lock"):
            assert main([sweep, "--local", "--storage", str(storage)]) == 2

        assert f"{storage}/tiny: another process is running this sweep" in capsys.readouterr().err
        assert runner.ran == []
        assert main([sweep, "--local", "--storage", str(storage)]) == 0


def _cpu_of_children() -> float:
    """The CPU seconds of child processes. Other work on the machine hardly changes this measure."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(raycal.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=True, timeout=60
    )


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    seconds = []
    for _ in range(3):
        begin = _cpu_of_children()
        shown = python("-X", "importtime", "-m", "raycal.sweep", "--help")
        seconds.append(_cpu_of_children() - begin)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.stderr.splitlines() if "|" in line}

    assert (
        "exit codes: 0 all trials finished, 1 some failed, 2 a mistake in the input, 130 Ctrl-C, 143 SIGTERM"
        in shown.stdout
    )
    assert "argparse" in imported
    assert not imported & {"torch", "ray", "pydantic", "mlflow", "numpy", "pyarrow", "yaml", "sklearn", "faiss", "rich"}
    assert min(seconds) < 0.5


def test_checking_a_sweep_imports_neither_torch_nor_ray_nor_mlflow(sweep: str) -> None:
    command = f"import sys; from raycal.sweep.__main__ import main; main([{sweep!r}, '--dry-run']); print(*sys.modules)"
    imported = set(python("-c", command).stdout.splitlines()[-1].split())

    assert "raycal.sweep.command" in imported
    assert not imported & {"torch", "ray", "mlflow", "faiss"}


class TestOnly:
    def test_given_twice_runs_what_matches_either(
        self, sweep: str, ids: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--dry-run", "--only", "*-random-s0-*", "--only", "*cluster-s1-*"]) == 0
        assert ID.findall(capsys.readouterr().out) == [ids[0], ids[3]]

    def test_pattern_beside_another_must_match_too(self, refused: Callable[..., list[str]], sweep: str) -> None:
        assert refused(sweep, "--only", "*-random-*", "--only", "*-randon-*") == [
            "--only *-randon-*: matches none of the 4 trials; the nearest: 'random s1', 'random s0'; "
            "--dry-run lists them"
        ]


class TestSet:
    def test_group_that_is_replaced_says_what_it_drops(self, sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([sweep, "--dry-run", "--set", "training={epochs: 2}"]) == 0
        assert capsys.readouterr().err.splitlines() == [
            "--set training replaces the whole group and drops image_size; --set training.image_size=... "
            "changes one key alone"
        ]

    @pytest.mark.parametrize(
        ("overrides", "dropped"),
        [
            (["training={epochs: 2, image_size: 64}"], None),
            (["training.epochs=2"], None),
            (["training.batch_size=8", "training={epochs: 2}"], "image_size, batch_size"),
            (["grid={seed: [0]}"], "scenario"),
            (["grid.training.epochs=[1, 2]", "training={image_size: 64}"], "epochs, epochs in the grid"),
        ],
    )
    def test_only_keys_that_are_lost_are_said(
        self, overrides: list[str], dropped: str | None, sweep: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([sweep, "--dry-run", *(word for override in overrides for word in ("--set", override))]) == 0
        lines = capsys.readouterr().err.splitlines()

        assert [line.partition(" drops ")[2].partition(";")[0] for line in lines] == ([dropped] if dropped else [])


class TestPlaceOfTracking:
    """Tests the notes about the tracking URI that are printed at the start."""

    @pytest.fixture
    def notes(
        self, sweep: str, runner: FakeRunner, storage: Path, capsys: pytest.CaptureFixture[str]
    ) -> Callable[[str], list[str]]:
        def notes(uri: str) -> list[str]:
            assert main([sweep, "--local", "--storage", str(storage), "--set", f"tracking.uri={uri}"]) == 0
            lines = capsys.readouterr().out.splitlines()
            at = lines.index(next(line for line in lines if line.startswith("  MLflow  ")))
            end = next(number for number in range(at + 1, len(lines)) if not lines[number].startswith(" " * 10))
            return [line.strip() for line in lines[at + 1 : end]]

        return notes

    def test_server_that_is_away(self, notes: Callable[[str], list[str]]) -> None:
        (line,) = notes("http://127.0.0.1:1")

        assert line.startswith("no answer from http://127.0.0.1:1 (")
        assert line.endswith(
            "; the runs are kept in the folder above, and what is missing is sent when the server answers"
        )
        assert FakeTracker.made[0].is_known_away is True

    def test_folder_that_is_made_for_a_database(self, notes: Callable[[str], list[str]], tmp_path: Path) -> None:
        folder = tmp_path / "missing" / "deeper"

        assert notes(f"sqlite:///{folder}/mlflow.db") == [f"the folder {folder} does not exist yet and is created now"]
        assert FakeTracker.made[0].is_known_away is False

    def test_storage_is_made_anyway(self, notes: Callable[[str], list[str]], storage: Path) -> None:
        assert notes(f"sqlite:///{storage}/mlflow.db") == []
