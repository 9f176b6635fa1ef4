from typing import Any

import pytest

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.monitor.progress import Progress, duration

STEPS = {"stop": "steps", "steps": 100}  # With a fixed number of steps, all trainings are equally long.


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
        "unlabeled": 60_000 - annotated,
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
        "trial 1/1  a  iteration 1/4  interactions 1,000  annotated 12,345  accuracy 0.877  best so far 0.877  "
        "about 2 min left\n"
    )


@pytest.mark.parametrize(
    ("scenario", "keeps", "words"),
    [
        ("uncertain+cluster", False, "labeled 50 alone, 1,200 in clusters (this iteration only)"),
        ("uncertain+cluster", True, "labeled 50 alone, 1,200 in clusters (kept)"),
        ("representative-only", False, "labeled 50 alone, 1,200 in clusters (this iteration only)"),
        ("uncertain-only", True, "annotated 1,250"),
    ],
)
def test_line_tells_what_becomes_of_the_labels_of_clusters(capsys: Out, scenario: str, keeps: bool, words: str) -> None:
    Progress({"a": config(scenario, keep_cluster_labels=keeps)}).iteration("a", line(0, annotated=1250))

    assert f"  interactions 100  {words}  accuracy 0.500  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "doubts"),
    [
        # An earlier version of raycal has written this line.
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

    assert f"accuracy 0.500{doubts}  best so far 0.500  about" in capsys.readouterr().out


def test_ids_of_different_lengths_are_aligned(capsys: Out) -> None:
    progress = Progress({"a": config(), "long": config()})
    progress.iteration("a", line(0))
    progress.iteration("long", line(0))

    first, second = capsys.readouterr().out.splitlines()
    assert first.index("iteration") == second.index("iteration") == len("trial 1/2  long  ")


def test_supervised_experiment_is_one_iteration(capsys: Out) -> None:
    Progress({"a": config("supervised", iterations=15)}).iteration("a", line(0))

    assert "iteration 1/1" in capsys.readouterr().out


def test_stopped_experiment_is_told(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=10), "long": config(iterations=2)})
    progress.stopped("a", "asha")

    assert capsys.readouterr().out == "trial 1/2  a     stopped early by asha\n"


def test_last_iteration_says_that_all_is_done(capsys: Out) -> None:
    progress = Progress({"a": config(iterations=2, training=STEPS)})
    progress.iteration("a", line(0))
    progress.iteration("a", line(1))

    assert left(capsys) == ["about 10 s left", "all done"]


def test_trials_are_numbered_in_the_order_in_which_they_begin(capsys: Out) -> None:
    progress = Progress({key: config() for key in "abc"})
    for key in "bab":
        progress.iteration(key, line(0))

    assert [said[:11] for said in capsys.readouterr().out.splitlines()] == [
        "trial 1/3  ",
        "trial 2/3  ",
        "trial 1/3  ",
    ]


def test_best_accuracy_is_that_of_all_trials_with_the_same_data_but_for_full_supervision(capsys: Out) -> None:
    experiments = {
        "a": config(),
        "b": config("supervised"),
        "c": config("uncertain-only"),
        "other": config(dataset={"name": "digits", "train_size": 100}),
    }
    progress = Progress(experiments)
    for key, accuracy in (("b", 0.97), ("a", 0.7), ("a", 0.6), ("c", 0.8), ("b", 0.98), ("other", 0.2)):
        progress.iteration(key, line(0, accuracy=accuracy))

    said = [words.partition("best so far ")[2][:5] for words in capsys.readouterr().out.splitlines()]
    assert said == ["", "0.700", "0.700", "0.800", "0.800", "0.200"]


def test_earlier_starts_count_in_numbers_best_accuracy_and_time_left(capsys: Out) -> None:
    experiments = {key: config(iterations=4, training=STEPS) for key in "bc"}
    earlier = [
        ("a", config(iterations=4), [line(step, accuracy=0.9) for step in range(4)]),
        ("b", config(iterations=4), [line(0), line(1)]),
    ]
    progress = Progress(experiments, num_trials=3, earlier=earlier, clock=lambda: 0.0)
    progress.iteration("c", line(0, accuracy=0.5))

    # Two iterations of `b` and three of `c` are left.
    assert capsys.readouterr().out == (
        "trial 2/3  c  iteration 1/4  interactions 100  annotated 100  accuracy 0.500  best so far 0.900  "
        "about 50 s left\n"
    )


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

    assert capsys.readouterr().out == "trial 1/1  one  failed: iteration 1: DivergedError: not finite\n"


def test_label_stands_behind_the_id_in_columns(capsys: Out) -> None:
    labels = {"a": "random s0", "long": "cluster-only (purity threshold 0.7) s0"}
    progress = Progress({"a": config(), "long": config()}, labels=labels)
    progress.stopped("a", "asha")
    progress.ended("long", "iteration 1: no memory")

    assert capsys.readouterr().out.splitlines() == [
        "trial 1/2  a     random s0                               stopped early by asha",
        "trial 2/2  long  cluster-only (purity threshold 0.7) s0  failed: iteration 1: no memory",
    ]


def test_label_that_is_added_is_said(capsys: Out) -> None:
    labels: dict[str, str] = {}
    progress = Progress({"a": config()}, labels=labels)
    labels["a"] = "random (epochs 2) s0"
    progress.stopped("a", "asha")

    assert capsys.readouterr().out == "trial 1/1  a  random (epochs 2) s0  stopped early by asha\n"
