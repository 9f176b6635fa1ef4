"""Tests sweeps whose trials are stopped early or chosen one by one, started as a user starts them."""

import json
from pathlib import Path

import psutil
import pytest
from sweep_command import SWEEP, mlflow_runs, outcome, run, started, statuses, title_of, wait_until

AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}

pytestmark = pytest.mark.timeout(900)


@pytest.mark.long
def test_trial_that_cannot_learn_is_stopped_early_and_needs_nothing_more(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(
        SWEEP.replace("iterations: 3", "iterations: 4").replace("epochs: 1", "epochs: 6")
        + "grid: {training.learning_rate: [0.01, 1.0e-9, 2.0e-9]}\n"
        + "scheduler: {name: asha, grace_iterations: 2, reduction_factor: 2}\n"
        + "resources: {max_concurrent_trials: 1}\n"
    )
    code, output = run(sweep, storage)
    assert code == 0, output

    good, *bad = json.loads((storage / "small/plan.json").read_text())["experiments"]
    lengths = {key: len(lines) for key, (_, lines) in outcome(storage).items()}
    assert lengths == {good: 4, bad[0]: 2, bad[1]: 2}
    for key in bad:
        stopped = json.loads((storage / "small" / key / "state/stopped.json").read_text())
        assert (stopped["reason"], stopped["iteration"]) == ("asha", 1)
        assert not (storage / "small" / key / "state/finished.json").exists()
        assert f"{key}  stopped early by asha\n" in output
    tags = [run.data.tags for run in mlflow_runs(storage) if run.data.tags["raycal.kind"] == "trial"]
    assert {tag["raycal.experiment_id"]: tag["raycal.status"] for tag in tags} == {
        good: "iterations",
        bad[0]: "stopped",
        bad[1]: "stopped",
    }
    # The table has a row for the trial that finished.
    assert [line.split()[1] for line in output.splitlines() if line.startswith(" uncertain+cluster ")] == ["0.01"]
    assert "2 trials were stopped early by asha and are not in the table" in output
    assert statuses(storage) == {"sweep": ["FINISHED"], "trial": ["FINISHED", "KILLED", "KILLED"]}

    before = {path: path.stat().st_mtime_ns for path in (storage / "small").glob("digits-*/**/*")}
    code, output = run(sweep, storage, "--resume")
    assert code == 0
    assert "3 trials, 0 to run" in output
    assert {path: path.stat().st_mtime_ns for path in (storage / "small").glob("digits-*/**/*")} == before


@pytest.mark.long
def test_search_whose_driver_was_killed_ends_with_as_many_trials_as_asked_for(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(
        SWEEP
        + "search: {algorithm: optuna, num_samples: 5, space: {training.learning_rate: {loguniform: [0.0001, 0.01]}}}\n"
    )
    with started(sweep, storage) as process:
        first = wait_until(lambda: [path.parent.parent for path in storage.glob("small/*/state/finished.json")])
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    # Ray's agents take a while to end, and write nothing.
    wait_until(lambda: {title for member in family if (title := title_of(member))} <= AGENTS)
    planned = list(json.loads((storage / "small/plan.json").read_text())["experiments"])
    assert len(first) <= len(planned) < 5
    before = {path: path.read_bytes() for path in first[0].glob("ledger/*")}

    code, output = run(sweep, storage, "--resume")
    assert code == 0, output
    assert f"5 trials, {5 - len(first)} to run" in output
    experiments = json.loads((storage / "small/plan.json").read_text())["experiments"]
    assert list(experiments)[: len(planned)] == planned
    assert len(dict.fromkeys(experiments)) == 5
    assert len({experiment["training"]["learning_rate"] for experiment in experiments.values()}) == 5
    assert {key: len(lines) for key, (_, lines) in outcome(storage).items()} == dict.fromkeys(sorted(experiments), 3)
    assert {path: path.read_bytes() for path in first[0].glob("ledger/*")} == before
    assert statuses(storage) == {"sweep": ["FINISHED"], "trial": ["FINISHED"] * 5}
