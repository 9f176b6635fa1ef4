from collections.abc import Callable
from pathlib import Path

import pytest

from raycal.config import SchedulerConfig, load_sweep
from raycal.errors import InputError
from raycal.experiment import build

MINIMAL = """\
name: tiny
experiment:
  dataset: digits
  scenario: random
"""
SAME = "sweep.yaml:5: scheduler: trials are compared at the same iteration and need the same"

Problems = Callable[..., list[str]]


@pytest.fixture
def scheduler(tmp_path: Path) -> Callable[..., SchedulerConfig | None]:
    """The scheduler of the minimal sweep file with this text appended."""

    def scheduler(text: str, *overrides: str) -> SchedulerConfig | None:
        path = tmp_path / "sweep.yaml"
        path.write_text(MINIMAL + text)
        return load_sweep(str(path), build.REGISTRIES, overrides=overrides).scheduler

    return scheduler


@pytest.fixture
def problems(scheduler: Callable[..., object], tmp_path: Path) -> Problems:
    """The problems of the minimal sweep file with this text appended, with `sweep.yaml` as its path."""

    def problems(text: str, *overrides: str) -> list[str]:
        with pytest.raises(InputError) as refused:
            scheduler(text, *overrides)
        return [line.replace(f"{tmp_path}/", "") for line in refused.value.problems]

    return problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("scheduler:\n", None),
        ("scheduler: asha\n", (2, 3)),
        ("scheduler: {name: asha}\n", (2, 3)),
        ("scheduler: {name: asha, grace_iterations: 4, reduction_factor: 2}\n", (4, 2)),
    ],
)
def test_scheduler_is_read(
    scheduler: Callable[..., SchedulerConfig | None], text: str, expected: tuple[int, int] | None
) -> None:
    read = scheduler(text)

    assert (None if read is None else (read.grace_iterations, read.reduction_factor)) == expected


def test_scheduler_may_be_given_on_the_command_line(scheduler: Callable[..., SchedulerConfig | None]) -> None:
    read = scheduler("scheduler: asha\n", "scheduler.grace_iterations=5")

    assert read is not None
    assert read.grace_iterations == 5
    assert scheduler("scheduler: asha\n", "scheduler=null") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("asah", "scheduler.name: should be 'asha', not 'asah'"),
        ("3", "scheduler: should be a group of 'key: value', not 3"),
        (
            "{name: asha, grace_iteration: 3}",
            "scheduler.grace_iteration: unknown key (did you mean 'grace_iterations'?)",
        ),
        (
            "{name: asha, grace_iterations: 1}",
            "scheduler.grace_iterations: should be greater than or equal to 2, not 1",
        ),
        (
            "{name: asha, reduction_factor: 1}",
            "scheduler.reduction_factor: should be greater than or equal to 2, not 1",
        ),
    ],
)
def test_mistake_is_refused(problems: Problems, text: str, line: str) -> None:
    assert problems(f"scheduler: {text}\n") == [f"sweep.yaml:5: {line}"]


@pytest.mark.parametrize(
    ("grid", "reason"),
    [
        ("{dataset: [digits, cifar10]}", "dataset with the same options, not 2 different ones"),
        ("{dataset.train_size: [10, 20, 30]}", "dataset with the same options, not 3 different ones"),
        ("{interactions_per_iteration: [20, 10]}", "interactions_per_iteration, not 10, 20"),
    ],
)
def test_trials_whose_curves_cannot_be_compared_are_refused(problems: Problems, grid: str, reason: str) -> None:
    assert problems(f"scheduler: asha\ngrid: {grid}\n") == [f"{SAME} {reason}"]


def test_trials_that_cannot_be_compared_are_said_with_the_other_problems(problems: Problems) -> None:
    text = "scheduler: asha\ngrid: {interactions_per_iteration: [10, 20]}\nresources: {workers_per_trial: 0}\n"

    assert problems(text) == [
        "sweep.yaml:7: resources.workers_per_trial: should be greater than or equal to 1, not 0",
        f"{SAME} interactions_per_iteration, not 10, 20",
    ]


def test_supervised_trial_is_not_compared(scheduler: Callable[..., SchedulerConfig | None]) -> None:
    include = "{scenario: supervised, interactions_per_iteration: 7}"

    assert scheduler(f"scheduler: asha\ngrid: {{seed: [0, 1], include: [{include}]}}\n") is not None


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("dataset: {choice: [digits, cifar10]}", "dataset with the same options, not 2 different ones"),
        ("dataset.train_size: {randint: [10, 20]}", "dataset with the same options, not 3 different ones"),
        ("interactions_per_iteration: {randint: [10, 20]}", "interactions_per_iteration, not 10, 19, 1000"),
    ],
)
def test_space_whose_trials_cannot_be_compared_is_refused(
    problems: Problems, monkeypatch: pytest.MonkeyPatch, key: str, reason: str
) -> None:
    monkeypatch.setattr("raycal.config.sweep.is_installed", lambda name: True)
    search = f"search: {{algorithm: optuna, num_samples: 9, space: {{{key}}}}}\n"

    assert problems(f"scheduler: asha\n{search}") == [f"{SAME} {reason}"]
