"""Tests running sweeps and experiments from Python code."""

import copy
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import raycal
from raycal import ExperimentFailedError, InputError, run_experiment, run_sweep
from raycal.config import load_sweep
from raycal.config.loop_settings import loop_settings
from raycal.experiment.build import REGISTRIES

EXPERIMENT: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 40, "test_size": 20},
    "model": {"weights": "none"},
    "scenario": "random",
    "iterations": 2,
    "interactions_per_iteration": 10,
    "training": {"epochs": 1, "image_size": 32},
}
SWEEP: dict[str, Any] = {"name": "tiny", "experiment": EXPERIMENT, "grid": {"seed": [0, 1]}}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(raycal.__file__).parents[1])}
QUICK: dict[str, Any] = {"local": True, "track": False, "report": False, "verbose": False}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def changed(**settings: Any) -> dict[str, Any]:
    return copy.deepcopy(EXPERIMENT) | settings


class TestRefusal:
    def problems(self, call: Any, *arguments: Any, **options: Any) -> list[str]:
        with pytest.raises(InputError) as refused:
            call(*arguments, **options)
        assert list(Path.cwd().iterdir()) == []
        return list(refused.value.problems)

    def test_every_mistake_of_a_sweep_is_in_the_exception_and_nothing_is_printed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sweep = {"name": "tiny", "experiment": changed(scenario="randon", seeds=3)}
        first, second = self.problems(run_sweep, sweep, local=True)
        assert first.startswith("experiment.scenario: ")
        assert "did you mean 'random'?" in first
        assert second == "experiment.seeds: unknown key (did you mean 'seed'?)"
        assert capsys.readouterr() == ("", "")

    def test_mistake_of_an_experiment(self) -> None:
        assert self.problems(run_experiment, changed(iterations=0)) == [
            "experiment.iterations: should be greater than or equal to 1, not 0"
        ]
        assert self.problems(run_experiment, {}) == [
            "experiment.dataset: missing",
            "experiment.scenario: missing",
        ]

    @pytest.mark.parametrize(
        ("call", "given", "words"),
        [
            (run_sweep, 3, "sweep: should be the path of a sweep file or a mapping, not of type int"),
            (run_sweep, "missing.yaml", "missing.yaml: No such file or directory"),
            (run_sweep, Path("missing.yaml"), "missing.yaml: No such file or directory"),
            (run_experiment, "a.yaml", "experiment: should be a mapping of settings, not of type str"),
        ],
    )
    def test_what_is_no_sweep(self, call: Any, given: object, words: str) -> None:
        assert self.problems(call, given) == [words]

    def test_problems_are_in_the_words_of_python(self) -> None:
        two = {"resources.workers_per_trial": 2, "training.batch_size": 64}
        assert self.problems(run_sweep, SWEEP, overrides=two, **QUICK) == [
            "local=True: runs one trial after another in this process; add overrides resources.workers_per_trial=1"
        ]
        assert self.problems(run_sweep, SWEEP, only="*-s7-*", **QUICK) == ["only *-s7-*: matches none of the 2 trials"]
        assert self.problems(run_sweep, SWEEP, storage="nope://a", **QUICK)[0].startswith("storage nope://a: ")


@pytest.mark.slow
def test_sweep_runs_goes_on_and_is_the_same_as_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    gpus, handler = os.environ.get("CUDA_VISIBLE_DEVICES"), signal.getsignal(signal.SIGINT)
    first = run_sweep(SWEEP, overrides={"grid.seed": [0]}, **QUICK)
    assert capsys.readouterr().out == ""
    assert first.trials["state"].tolist() == ["finished"]

    with pytest.raises(InputError, match="this sweep was started before; add resume=True to continue"):
        run_sweep(SWEEP, **QUICK)
    both = run_sweep(SWEEP, resume=True, **QUICK | {"verbose": True})
    printed = capsys.readouterr().out
    assert "tiny: 2 trials, 1 to run" in printed
    assert "MLflow" not in printed

    assert both.trials["seed"].tolist() == [0, 1]
    assert both.results["interactions"].tolist() == [10, 20, 10, 20]
    assert both.results["test_accuracy"].between(0, 1).all()
    assert (os.environ.get("CUDA_VISIBLE_DEVICES"), signal.getsignal(signal.SIGINT)) == (gpus, handler)
    assert sorted(path.name for path in Path("runs").iterdir()) == ["tiny"]
    assert not Path("runs/tiny/report").exists()

    Path("tiny.yaml").write_text(
        "name: tiny\nexperiment:\n  dataset: {name: digits, train_size: 40, test_size: 20}\n  model: {weights: none}\n"
        "  scenario: random\n  iterations: 2\n  interactions_per_iteration: 10\n"
        "  training: {epochs: 1, image_size: 32}\ngrid: {seed: [0, 1]}\n"
    )
    by_file = run_sweep("tiny.yaml", storage="others", **QUICK)
    assert by_file.trials["id"].tolist() == both.trials["id"].tolist()
    for key in both.trials["id"]:
        ledgers = [Path(storage, "tiny", key, "ledger").glob("*") for storage in ("runs", "others")]
        ours, theirs = ([path.read_bytes() for path in sorted(one)] for one in ledgers)
        assert ours == theirs


@pytest.mark.slow
def test_experiment_runs_once_and_is_read_afterwards(tmp_path: Path) -> None:
    (experiment_id,) = load_sweep({"name": "a", "experiment": EXPERIMENT}, REGISTRIES).experiments
    run = run_experiment(EXPERIMENT)

    assert (run.id, run.state, run.label) == (experiment_id, "finished", "random s0")
    assert run.folder == str(tmp_path / "runs" / experiment_id / experiment_id)
    assert run.results["interactions"].tolist() == [10, 20]
    assert run.ledger()["interaction"].tolist() == list(range(1, 21))
    written = Path(run.folder, "results.jsonl").stat().st_mtime_ns
    assert run_experiment(EXPERIMENT).results.equals(run.results)
    assert Path(run.folder, "results.jsonl").stat().st_mtime_ns == written
    assert raycal.read_sweep(Path(run.folder).parent).trials["state"].tolist() == ["finished"]


@pytest.mark.slow
def test_failed_experiment_raises_and_failed_trial_of_a_sweep_does_not() -> None:
    diverges = changed(training={"epochs": 1, "image_size": 32, "learning_rate": 1e9})
    with pytest.raises(ExperimentFailedError, match="DivergedError") as failed:
        run_experiment(diverges)
    assert failed.value.experiment_id.startswith("digits-random-s0-")
    assert Path(failed.value.folder, "error.txt").read_text().strip() == failed.value.reason

    done = run_sweep({"name": "bad", "experiment": diverges}, **QUICK)
    assert done.trials["state"].tolist() == ["failed"]
    assert "DivergedError" in done.trials["reason"][0]


@pytest.mark.long
@pytest.mark.xdist_group("ray")
def test_sweep_runs_on_ray_in_a_process_without_a_connection(tmp_path: Path) -> None:
    """A process that is connected to Ray is refused, because `ray.shutdown` at the end of the sweep would disconnect
    it."""
    code = (
        "import ray, raycal, signal\n"
        "ray.init(num_cpus=1, log_to_driver=False)\n"
        f"try: raycal.run_sweep({SWEEP!r}, track=False, report=False)\n"
        "except raycal.InputError as error: print(error)\n"
        "print(ray.is_initialized())\n"
        "ray.shutdown()\n"
        f"done = raycal.run_sweep({SWEEP!r}, track=False, report=False, overrides={{'resources.cpus_per_worker': 1}})\n"
        "print(done.trials['state'].tolist(), len(done.ledger()), ray.is_initialized())\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    environment = ENVIRONMENT | {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "local"}
    shown = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, timeout=280
    )

    lines = shown.stdout.splitlines()
    refusal = "this process is connected to a Ray cluster already; call ray.shutdown() first, or use local=True"
    assert lines[lines.index(refusal) + 1] == "True"
    assert lines[-2:] == ["['finished', 'finished'] 40 False", "True"]
    assert shown.returncode == 0


@pytest.mark.slow
def test_ctrl_c_raises_and_the_next_call_goes_on(tmp_path: Path) -> None:
    dataset = {"name": "digits", "train_size": 60, "test_size": 20}
    long = {"name": "long", "experiment": changed(dataset=dataset, iterations=6)}
    code = (
        "import raycal\n"
        f"try: raycal.run_sweep({long!r}, local=True, track=False, report=False)\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)\n"
        f"done = raycal.run_sweep({long!r}, local=True, track=False, report=False, resume=True)\n"
        "print(done.results['iteration'].tolist())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "iteration 1/6" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=120) == 0, rest
    assert "interrupted\n" in rest
    assert rest.splitlines()[-1] == str(list(range(6)))


def interrupt_that_a_library_loses(*_: Any) -> None:
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def interrupt_that_a_library_turns_into_its_own_error(*_: Any) -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        raise RuntimeError("callback failed") from error


@pytest.mark.slow
@pytest.mark.parametrize(
    "interrupt", [interrupt_that_a_library_loses, interrupt_that_a_library_turns_into_its_own_error]
)
def test_interruption_ends_the_sweep_whatever_a_library_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, interrupt: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("raycal.experiment.run.loop_settings", lambda config: interrupt() or loop_settings(config))
        with pytest.raises(KeyboardInterrupt):
            run_sweep(SWEEP, **QUICK)
    done = run_sweep(SWEEP, resume=True, **QUICK)
    assert done.trials["state"].tolist() == ["finished", "finished"]


def test_id_that_is_too_long_for_a_sweep_is_cut_but_for_its_digest() -> None:
    from raycal.api.run import folder_name

    assert folder_name("digits-random-s0-1a2b3c4d") == "digits-random-s0-1a2b3c4d"
    long = f"image_folder-{'x' * 60}-s0-1a2b3c4d"
    assert folder_name(long) == f"image_folder-{'x' * 42}-1a2b3c4d"
    assert len(folder_name(long)) == 64
