from typing import Any

import pytest

from raycal.config import ExperimentConfig
from raycal.monitor import sweep_metrics
from raycal.monitor.sweep_metrics import GROUP, TABLE, SweepMetrics
from raycal.storage.results import SECONDS
from raycal.storage.run_dir import TrialState

RANDOM = {"sweep": "tiny", "dataset": "digits", "scenario": "random"}
CLUSTERS = {"sweep": "tiny", "dataset": "digits", "scenario": "cluster-only"}


def experiment(scenario: str, seed: int) -> ExperimentConfig:
    return ExperimentConfig.model_validate({"dataset": "digits", "scenario": scenario, "iterations": 3, "seed": seed})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(sweep_metrics.time, "time", lambda: now[0])
    return now


@pytest.fixture
def sweep(clock: list[float]) -> SweepMetrics:
    experiments = {"r0": experiment("random", 0), "r1": experiment("random", 1), "c0": experiment("cluster-only", 0)}
    return SweepMetrics("tiny", experiments, num_trials=4)


def line(iteration: int, accuracy: float = 0.5, **more: Any) -> dict[str, Any]:
    figures = {
        "iteration": iteration,
        "interactions": 10 * (iteration + 1),
        "test_accuracy": accuracy,
        "annotated": 12 * (iteration + 1),
        "clusters_shown": 0,
        "clusters_accepted": 0,
        "cluster_label_error": None,
        "human_seconds": 40.0 * (iteration + 1),
        "started": 500.0,
    }
    return figures | dict.fromkeys(SECONDS, 2.0) | more


def value(sweep: SweepMetrics, name: str, labels: dict[str, str] | None = None) -> float | None:
    found = [sample.value for sample in sweep.samples(7) if sample[:2] == (name, labels or {"sweep": "tiny"})]
    assert len(found) <= 1
    return found[0] if found else None


def trials(sweep: SweepMetrics) -> dict[str, float | None]:
    return {state: value(sweep, "raycal_trials", {"sweep": "tiny", "state": state}) for state in TrialState}


def test_table_keeps_to_the_limits_of_names_and_labels() -> None:
    assert 10 <= len(TABLE) <= 20
    assert all(name.startswith("raycal_") and not name.endswith("_total") for name in TABLE)
    assert {label for metric in TABLE.values() for label in metric.labels} == {*GROUP, "state", "phase"}
    assert len({metric.description for metric in TABLE.values()}) == len(TABLE)


def test_every_metric_has_a_value_under_its_labels_once_clusters_were_accepted(sweep: SweepMetrics) -> None:
    before = {sample.name for sample in sweep.samples(0)}
    sweep.iteration("c0", line(0, clusters_shown=4, clusters_accepted=3, cluster_label_error=0.25))
    samples = list(sweep.samples(0))

    assert {sample.name for sample in samples} == set(TABLE)
    assert all(set(sample.labels) == set(TABLE[sample.name].labels) for sample in samples)
    assert len({(sample.name, *sorted(sample.labels.items())) for sample in samples}) == len(samples)
    # Without an iteration there is neither an accuracy nor an error; all other metrics begin at zero.
    assert set(TABLE) - before == {
        "raycal_newest_test_accuracy",
        "raycal_newest_interactions",
        "raycal_best_test_accuracy",
        "raycal_newest_cluster_label_error",
    }


def test_trials_are_counted_by_state(sweep: SweepMetrics) -> None:
    assert trials(sweep) == {"planned": 4, "running": 0, "finished": 0, "stopped": 0, "failed": 0}
    sweep.scheduled("r0")
    sweep.scheduled("r0")
    sweep.scheduled("r1")
    sweep.scheduled("c0")
    assert trials(sweep) == {"planned": 1, "running": 3, "finished": 0, "stopped": 0, "failed": 0}
    sweep.ended("r0", TrialState.FINISHED)
    sweep.ended("r1", TrialState.STOPPED)
    sweep.ended("c0", TrialState.FAILED)
    assert trials(sweep) == {"planned": 1, "running": 0, "finished": 1, "stopped": 1, "failed": 1}


def test_nothing_is_under_way_after_the_end(sweep: SweepMetrics) -> None:
    sweep.scheduled("r0")
    sweep.scheduled("r1")
    sweep.ended("r1", TrialState.FINISHED)
    assert value(sweep, "raycal_tracking_backlog") == 7
    sweep.end()

    assert trials(sweep) == {"planned": 0, "running": 0, "finished": 1, "stopped": 0, "failed": 0}
    assert value(sweep, "raycal_tracking_backlog") == 0


def test_trials_of_a_scenario_are_added_up(sweep: SweepMetrics) -> None:
    sweep.iteration("r0", line(0))
    sweep.iteration("r0", line(1))
    sweep.iteration("r1", line(0))
    sweep.iteration("c0", line(0, clusters_shown=10, clusters_accepted=6))
    sweep.iteration("c0", line(1, clusters_shown=10, clusters_accepted=7))

    assert value(sweep, "raycal_iterations", RANDOM) == 3
    assert value(sweep, "raycal_interactions", RANDOM) == 20 + 10
    assert value(sweep, "raycal_annotated_images", RANDOM) == 24 + 12
    assert value(sweep, "raycal_human_seconds", RANDOM) == 80 + 40
    assert value(sweep, "raycal_phase_seconds", RANDOM | {"phase": "train"}) == 6
    assert value(sweep, "raycal_clusters_shown", RANDOM) == 0
    assert value(sweep, "raycal_clusters_shown", CLUSTERS) == 20
    assert value(sweep, "raycal_clusters_accepted", CLUSTERS) == 13
    assert value(sweep, "raycal_interactions", CLUSTERS) == 20


def test_newest_is_of_the_iteration_heard_last_and_best_of_any(sweep: SweepMetrics) -> None:
    sweep.iteration("r0", line(0, 0.4))
    sweep.iteration("r0", line(1, 0.9))
    sweep.iteration("r1", line(0, 0.3))

    assert value(sweep, "raycal_newest_test_accuracy", RANDOM) == 0.3
    assert value(sweep, "raycal_newest_interactions", RANDOM) == 10
    assert value(sweep, "raycal_best_test_accuracy", RANDOM) == 0.9
    assert value(sweep, "raycal_best_test_accuracy", CLUSTERS) is None


def test_label_error_stays_when_the_next_iteration_accepts_no_cluster(sweep: SweepMetrics) -> None:
    sweep.iteration("c0", line(0, cluster_label_error=0.1))
    sweep.iteration("c0", line(1, cluster_label_error=None))

    assert value(sweep, "raycal_newest_cluster_label_error", CLUSTERS) == 0.1


def test_iteration_redone_replaces_itself_and_what_came_after_it(sweep: SweepMetrics) -> None:
    for iteration in range(3):
        sweep.iteration("r0", line(iteration, 0.2 * iteration))
    sweep.iteration("r0", line(1, 0.1))

    assert value(sweep, "raycal_iterations", RANDOM) == 2
    assert value(sweep, "raycal_interactions", RANDOM) == 20
    assert value(sweep, "raycal_best_test_accuracy", RANDOM) == 0.1


def test_planned_iterations_of_a_trial_that_is_over_are_those_it_had(sweep: SweepMetrics) -> None:
    assert value(sweep, "raycal_planned_iterations", RANDOM) == 6
    sweep.iteration("r0", line(0))
    assert value(sweep, "raycal_planned_iterations", RANDOM) == 6
    sweep.ended("r0", TrialState.STOPPED)
    assert value(sweep, "raycal_planned_iterations", RANDOM) == 1 + 3
    sweep.ended("r1", TrialState.FAILED)
    assert value(sweep, "raycal_planned_iterations", RANDOM) == 1


def test_experiments_may_be_added_while_the_sweep_runs(clock: list[float]) -> None:
    experiments = {"r0": experiment("random", 0)}
    sweep = SweepMetrics("tiny", experiments, num_trials=2)
    experiments["c0"] = experiment("cluster-only", 0)
    sweep.iteration("c0", line(0))

    assert value(sweep, "raycal_planned_iterations", CLUSTERS) == 3
    assert value(sweep, "raycal_iterations", CLUSTERS) == 1


def test_folders_of_images_are_called_and_counted_by_their_names(clock: list[float]) -> None:
    def of_folder(root: str) -> ExperimentConfig:
        dataset = {"name": "image_folder", "root": root}
        return ExperimentConfig.model_validate({"dataset": dataset, "scenario": "random", "iterations": 3})

    experiments = {"a": of_folder("/data/birds/train"), "b": of_folder("/data/fish"), "c": of_folder("/old/birds")}
    sweep = SweepMetrics("zoo", experiments, num_trials=3)
    sweep.iteration("b", line(0))

    planned = {
        sample.labels["dataset"]: sample.value for sample in sweep.samples(0) if "planned_iterations" in sample.name
    }
    assert planned == {"data/birds": 3, "fish": 3, "old/birds": 3}
    assert value(sweep, "raycal_iterations", {"sweep": "zoo", "dataset": "fish", "scenario": "random"}) == 1


def test_resumed_sweep_goes_on_where_it_was(sweep: SweepMetrics) -> None:
    sweep.restore("r0", [line(0), line(1), line(2)], TrialState.FINISHED)
    sweep.restore("r1", [line(0)], TrialState.PLANNED)
    sweep.scheduled("r1")
    sweep.iteration("r1", line(1))

    assert value(sweep, "raycal_iterations", RANDOM) == 5
    assert trials(sweep) == {"planned": 2, "running": 1, "finished": 1, "stopped": 0, "failed": 0}


def test_what_was_found_does_not_undo_what_was_heard_meanwhile(sweep: SweepMetrics) -> None:
    sweep.ended("r0", TrialState.FAILED)
    sweep.restore("r0", [], TrialState.FINISHED)

    assert trials(sweep)["failed"] == 1


def test_restart_is_a_trial_that_began_again(sweep: SweepMetrics) -> None:
    sweep.iteration("r0", line(0, started=500.0))
    sweep.iteration("r0", line(1, started=500.0))
    sweep.iteration("r1", line(0, started=600.0))
    assert value(sweep, "raycal_restarts") == 0
    sweep.iteration("r0", line(2, started=700.0))
    sweep.iteration("r0", line(3, started=700.0))

    assert value(sweep, "raycal_restarts") == 1


def test_progress_is_an_iteration_or_an_end_and_no_start(sweep: SweepMetrics, clock: list[float]) -> None:
    assert value(sweep, "raycal_last_progress_timestamp_seconds") == 1000
    clock[0] = 1010
    sweep.scheduled("r0")
    sweep.started("r0", 9.5)
    assert value(sweep, "raycal_last_progress_timestamp_seconds") == 1000
    sweep.iteration("r0", line(0))
    assert value(sweep, "raycal_last_progress_timestamp_seconds") == 1010
    clock[0] = 1020
    sweep.ended("r0", TrialState.FINISHED)
    assert value(sweep, "raycal_last_progress_timestamp_seconds") == 1020


def test_seconds_of_starts_are_added_up(sweep: SweepMetrics) -> None:
    sweep.started("r0", 20.0)
    sweep.started("r1", 0.5)
    sweep.started("c0", -0.1)  # The seconds may be negative, because the clocks of two machines may differ.

    assert value(sweep, "raycal_start_seconds") == 20.5
