"""Which settings of a project may change after its start, and what the refusals advise."""

from pathlib import Path
from typing import Any

import pytest

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Kind
from raycal.errors import InputError
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepPlan
from raycal.sweep.job import Job, Request, prepare


def job(folder: Path, **changes: Any) -> Job:
    settings: dict[str, Any] = {
        "dataset": {"name": "digits", "train_size": 80, "test_size": 40},
        "model": {"name": "resnet18", "weights": "none"},
        "scenario": "random",
        "expert": "people",
        "iterations": 3,
        "interactions_per_iteration": 10,
        "training": {"epochs": 1, "image_size": 32},
    }
    sweep = {"name": "birds", "experiment": {**settings, **changes}}
    return prepare(Request(sweep=sweep, storage=str(folder), local=True, resume=True, people=True, track=False))


@pytest.fixture
def started(tmp_path: Path) -> RunDir:
    """A project that was started with three iterations, and whose second round is open."""
    first = job(tmp_path)
    ((key, config),) = first.selected.items()
    first.sweep_dir.write_plan(SweepPlan(sweep="birds", experiments={key: config}, threads=1, axes=()))
    run_dir = first.sweep_dir.run_dir(key)
    steps = StepFiles(run_dir.folder.folder(STEPS))
    for iteration in (0, 1):
        steps.write(StepQuestions(iteration=iteration, step=0, kind=Kind.SAMPLE, budget=0, first=()))
    return run_dir


@pytest.mark.parametrize("iterations", [2, 4, 30])
def test_iterations_may_change(tmp_path: Path, started: RunDir, iterations: int) -> None:
    later = job(tmp_path, iterations=iterations)

    ((key, config),) = later.selected.items()
    assert later.iterations == iterations
    assert started.folder.path.endswith(f"/{key}")
    assert config.iterations == 3  # the plan stays as it is
    assert later.extension is not None
    assert not later.extension.is_changed
    assert job(tmp_path).iterations is None


def test_round_that_has_begun_cannot_be_left_out(tmp_path: Path, started: RunDir) -> None:
    with pytest.raises(InputError) as error:
        job(tmp_path, iterations=1)
    assert error.value.problems == ("birds: iterations is 1, but people have begun with iteration 2; give at least 2",)


def test_other_settings_are_refused_with_what_to_do(tmp_path: Path, started: RunDir) -> None:
    with pytest.raises(InputError) as error:
        job(tmp_path, iterations=5, interactions_per_iteration=20, seed=4)

    was = "when the project was started and is now"
    *changed, last = error.value.problems
    assert {*changed} == {
        f"birds: seed was 0 {was} 4; put it back, or give the project another name or --storage",
        f"birds: iterations was 3 {was} 5; this key alone may change",
        f"birds: interactions_per_iteration was 10 {was} 20; put it back, and press T on the page to end a round after "
        "fewer answers",
    }
    assert last == f"{tmp_path}/birds keeps the answers, which belong to the earlier settings"


def test_finished_project_says_how_it_can_go_on(tmp_path: Path, started: RunDir) -> None:
    config = job(tmp_path).selected[Path(started.folder.path).name]
    writer = RunWriter(Folder.at(started.folder.path))
    writer.begin(config.model_copy(update={"iterations": 4}))
    writer.finish("iterations")

    with pytest.raises(InputError) as error:
        job(tmp_path, iterations=6)
    place = started.folder.place
    assert error.value.problems == (
        "birds: the project is finished after 0 iterations, and its models are removed; to go on to 6 iterations, move "
        f"everything but {place}/people out of {place}: the same command then trains the finished iterations again, "
        "from the answers, and asks the next questions",
    )
    # The number with which the project has finished is still valid, for instance to export the labels.
    assert job(tmp_path, iterations=4).iterations == 4
    assert job(tmp_path).iterations is None
