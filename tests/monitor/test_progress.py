from typing import Any

import pytest

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.monitor.progress import Progress, duration


def config(scenario: str = "random", iterations: int = 4, **given: Any) -> ExperimentConfig:
    settings = {"dataset": "digits", "scenario": scenario, "iterations": iterations} | given
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


def line(
    iteration: int, *, interactions: int = 100, annotated: int = 100, accuracy: float = 0.5, seconds: float = 10.0
) -> dict[str, Any]:
    """The line of an iteration whose four phases took `seconds` together."""
    return {
        "iteration": iteration,
        "interactions": interactions,
        "labeled": 50,
        "cluster_labeled": annotated - 50,
        "annotated": annotated,
        "test_accuracy": accuracy,
        "test_loss": 1.0,
        "predict_seconds": seconds / 8,
        "cluster_seconds": seconds / 8,
        "train_seconds": seconds / 2,
        "evaluate_seconds": seconds / 4,
    }


Out = pytest.CaptureFixture[str]


def left(capsys: Out) -> list[str]:
    """The time left in each line printed since the last call."""
    return [line.rsplit("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]


def test_line_tells_iteration_interactions_annotated_accuracy_and_time_left(capsys: Out) -> None:
    Progress({"a": config()}).iteration(
        "a", line(0, interactions=1000, annotated=12345, accuracy=0.87654, seconds=30.0)
    )

    assert capsys.readouterr().out == (
        "a  iteration 1/4  interactions 1,000  annotated 12,345  accuracy 0.877  about 2 min left\n"
    )


@pytest.mark.parametrize(
    ("scenario", "keeps", "words"),
    [
        ("uncertain+cluster", False, "labeled 50, by cluster 1,200 (given back)"),
        ("uncertain+cluster", True, "labeled 50, by cluster 1,200 (kept)"),
        ("representative-only", False, "labeled 50, by cluster 1,200 (given back)"),
        ("uncertain-only", True, "annotated 1,250"),
    ],
)
def test_line_tells_what_becomes_of_the_labels_of_clusters(capsys: Out, scenario: str, keeps: bool, words: str) -> None:
    Progress({"a": config(scenario, keep_cluster_labels=keeps)}).iteration("a", line(0, annotated=1250))

    assert f"  interactions 100  {words}  accuracy 0.500  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "doubts"),
    [
        # The line is of a run of an earlier version.
        ({}, ""),
        ({"chance_accuracy": 0.49, "optimizer_steps": 9, "first_train_loss": 2.0, "train_loss": 1.9}, ""),
        ({"chance_accuracy": 0.5}, " (no better than guessing)"),
        (
            {"optimizer_steps": 9, "first_train_loss": 2.0, "train_loss": 2.0, "chance_accuracy": None},
            " (the training loss has not fallen)",
        ),
        # A single step cannot tell whether the loss falls.
        ({"optimizer_steps": 1, "first_train_loss": 2.0, "train_loss": 2.0}, ""),
        # Nothing was annotated, so nothing was trained.
        ({"optimizer_steps": 0, "first_train_loss": None, "train_loss": None}, ""),
        (
            {"chance_accuracy": 0.6, "optimizer_steps": 9, "first_train_loss": 2.0, "train_loss": 3.0},
            " (no better than guessing, the training loss has not fallen)",
        ),
    ],
)
def test_doubtful_accuracy_is_marked(capsys: Out, figures: dict[str, Any], doubts: str) -> None:
    Progress({"a": config()}).iteration("a", line(0, accuracy=0.5) | figures)

    assert f"accuracy 0.500{doubts}  about" in capsys.readouterr().out


def test_ids_of_different_lengths_are_aligned(capsys: Out) -> None:
    progress = Progress({"a": config(), "long": config()})
    progress.iteration("a", line(0))
    progress.iteration("long", line(0))

    first, second = capsys.readouterr().out.splitlines()
    assert first.index("iteration") == second.index("iteration") == len("long  ")


def test_time_left_counts_all_experiments(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=4), "b": config(iterations=4)})
    progress.iteration("a", line(0, seconds=10.0))
    progress.iteration("a", line(1, seconds=20.0))

    # First 7 iterations of 10 s are left, then 6 of 15 s on average.
    assert left(capsys) == ["about 70 s left", "about 2 min left"]


def test_time_left_is_shared_by_the_trials_that_run_at_once(capsys: Out) -> None:
    progress = Progress({key: config(iterations=4) for key in "abcd"}, concurrent=3)
    progress.iteration("a", line(0, seconds=6.0))

    assert left(capsys) == ["about 30 s left"]


def test_fewer_trials_than_could_run_share_no_more_than_they_are(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=2), "b": config(iterations=6)}, concurrent=2)
    progress.iteration("a", line(0))
    progress.iteration("a", line(1))

    # First two trials share 7 iterations, then the last trial has 6.
    assert left(capsys) == ["about 35 s left", "about 60 s left"]


def test_scenario_that_was_seen_is_reckoned_with_its_own_seconds(capsys: Out) -> None:
    experiments = {"a": config("random", 3), "b": config("cluster-only", 3), "c": config("uncertain-only", 1)}
    progress = Progress(experiments)
    progress.iteration("a", line(0, seconds=2.0))
    progress.iteration("b", line(0, seconds=20.0))

    # First 2 + 3 + 1 iterations of 2 s are left; then 2 of 2 s, 2 of 20 s, and one of a scenario not seen so far,
    # which counts with the mean of 11 s.
    assert left(capsys) == ["about 12 s left", "about 55 s left"]


def test_experiments_that_are_added_are_counted(capsys: Out) -> None:
    experiments = {"a": config(iterations=2)}
    progress = Progress(experiments)
    progress.iteration("a", line(0))
    experiments["b"] = config(iterations=5)
    progress.iteration("a", line(1))

    assert left(capsys) == ["about 10 s left", "about 50 s left"]


def test_supervised_experiment_is_one_iteration(capsys: Out) -> None:
    Progress({"a": config("supervised", iterations=15)}).iteration("a", line(0))

    assert "iteration 1/1" in capsys.readouterr().out


def test_iterations_of_an_earlier_start_are_not_left(capsys: Out) -> None:
    Progress({"a": config(iterations=10)}).iteration("a", line(7))

    assert left(capsys) == ["about 20 s left"]


def test_experiment_that_ended_early_is_waited_for_no_more(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=10), "b": config(iterations=2)})
    progress.ended("a", None)
    progress.iteration("b", line(0))
    progress.iteration("b", line(1))

    assert left(capsys) == ["about 10 s left", "all done"]


def test_stopped_experiment_is_told_and_waited_for_no_more(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=10), "long": config(iterations=2)})
    progress.iteration("a", line(1))
    progress.stopped("a", "asha")
    progress.iteration("long", line(0))

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a     stopped early by asha"
    assert lines[2].endswith("about 10 s left")


def test_iteration_redone_from_an_earlier_state_is_told(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=10)})
    progress.iteration("a", line(3))
    progress.iteration("a", line(2))

    assert "iteration 3/10" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (720, "12 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (12600, "3.5 h"),
        (360000, "100.0 h"),
    ],
)
def test_duration_as_a_person_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_failure_is_told_when_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    Progress({"one": config()}).ended("one", "iteration 1: DivergedError: not finite\nmore of it\n")

    assert capsys.readouterr().out == "one  failed: iteration 1: DivergedError: not finite\n"


def test_label_stands_behind_the_id_in_columns(capsys: Out) -> None:
    labels = {"a": "random s0", "long": "cluster-only (purity threshold 0.7) s0"}
    progress = Progress({"a": config(), "long": config()}, labels=labels)
    progress.stopped("a", "asha")
    progress.ended("long", "iteration 1: no memory")

    assert capsys.readouterr().out.splitlines() == [
        "a     random s0                               stopped early by asha",
        "long  cluster-only (purity threshold 0.7) s0  failed: iteration 1: no memory",
    ]


def test_label_that_is_added_is_said(capsys: Out) -> None:
    labels: dict[str, str] = {}
    progress = Progress({"a": config()}, labels=labels)
    labels["a"] = "random (epochs 2) s0"
    progress.stopped("a", "asha")

    assert capsys.readouterr().out == "a  random (epochs 2) s0  stopped early by asha\n"
