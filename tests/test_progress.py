from typing import Any

import pytest

from raycal import build
from raycal.config import ExperimentConfig
from raycal.progress import Progress, duration


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("raycal.progress.monotonic", clock)
    return clock


def config(scenario: str = "random", iterations: int = 4) -> ExperimentConfig:
    settings = {"dataset": "digits", "scenario": scenario, "iterations": iterations}
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


def line(iteration: int, *, interactions: int = 100, annotated: int = 100, accuracy: float = 0.5) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "interactions": interactions,
        "annotated": annotated,
        "test_accuracy": accuracy,
        "test_loss": 1.0,
    }


def test_line_tells_iteration_interactions_annotated_accuracy_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress({"a": config()})
    clock.now = 30.0
    progress.iteration("a", line(0, interactions=1000, annotated=12345, accuracy=0.87654))

    assert capsys.readouterr().out == (
        "a  iteration 1/4  interactions 1,000  annotated 12,345  accuracy 0.877  about 2 min left\n"
    )


def test_ids_of_different_lengths_are_aligned(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"a": config(), "long": config()})
    progress.iteration("a", line(0))
    progress.iteration("long", line(0))

    first, second = capsys.readouterr().out.splitlines()
    assert first.index("iteration") == second.index("iteration") == len("long  ")


def test_time_left_counts_all_experiments(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"a": config(iterations=4), "b": config(iterations=4)})
    clock.now = 10.0
    progress.iteration("a", line(0))
    clock.now = 20.0
    progress.iteration("a", line(1))

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("about 70 s left")
    assert second.endswith("about 60 s left")


def test_supervised_experiment_is_one_iteration(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    Progress({"a": config("supervised", iterations=15)}).iteration("a", line(0))

    assert "iteration 1/1" in capsys.readouterr().out


def test_iterations_of_an_earlier_start_took_no_time_of_this_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress({"a": config(iterations=10)})
    clock.now = 10.0
    progress.iteration("a", line(7))

    assert capsys.readouterr().out.endswith("about 20 s left\n")


def test_experiment_that_ended_early_is_waited_for_no_more(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"a": config(iterations=10), "b": config(iterations=2)})
    progress.ended("a", None)
    clock.now = 10.0
    progress.iteration("b", line(0))
    progress.iteration("b", line(1))

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("about 10 s left")
    assert second.endswith("all done")


def test_iteration_redone_from_an_earlier_state_is_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress({"a": config(iterations=10)})
    clock.now = 10.0
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
