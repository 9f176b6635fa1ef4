"""Which settings of a project may change after its start, and what the refusals advise."""

from pathlib import Path
from typing import Any

import pytest

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Kind
from raycal.errors import InputError
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import Rule
from raycal.storage.folder import Folder
from raycal.storage.run_dir import RunDir, TrialState
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepPlan
from raycal.sweep.job import Job, Request, goes_on_after_the_end, prepare


def job(folder: Path, *, automatically: bool = False, **changes: Any) -> Job:
    settings: dict[str, Any] = {
        "dataset": {"name": "digits", "train_size": 80, "test_size": 40},
        "model": {"name": "resnet18", "weights": "none"},
        "scenario": "random",
        "expert": "people",
        "iterations": 3,
        "interactions_per_iteration": 10,
        "training": {"epochs": 1, "image_size": 32},
    }
    sweep = {"name": "birds", "experiment": {**settings, **changes}, "stop": {"automatically": automatically}}
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
        f"birds: interactions_per_iteration was 10 {was} 20; put it back, and press T on the page to end a round after "
        "fewer answers",
    }
    assert last == f"{tmp_path}/birds keeps the answers, which belong to the earlier settings"


def finish(run_dir: RunDir, folder: Path, reason: str) -> None:
    """End the project, whose file has asked for four iterations in the meantime."""
    config = job(folder).selected[Path(run_dir.folder.path).name]
    writer = RunWriter(Folder.at(run_dir.folder.place))
    writer.begin(config.model_copy(update={"iterations": 4}))
    writer.finish(reason)


def test_finished_project_goes_on_with_more_iterations(tmp_path: Path, started: RunDir) -> None:
    finish(started, tmp_path, "iterations")

    # The number with which the project has finished is still valid, for instance to export the labels.
    assert [job(tmp_path, iterations=number).iterations for number in (2, 4, 6)] == [2, 4, 6]
    assert [goes_on_after_the_end(started, number) for number in (4, 6)] == [False, True]
    with pytest.raises(InputError) as error:
        job(tmp_path, iterations=1)
    assert error.value.problems == ("birds: iterations is 1, but people have begun with iteration 2; give at least 2",)

    RunWriter(Folder.at(started.folder.place)).reopen()

    assert started.state() is TrialState.RUNNING
    assert not goes_on_after_the_end(started, 6)


def test_project_that_would_end_again_by_a_rule_is_refused_in_one_line(tmp_path: Path, started: RunDir) -> None:
    finish(started, tmp_path, Rule.MINUTES.reason)

    assert job(tmp_path, iterations=6).iterations == 6
    assert job(tmp_path, automatically=True, iterations=4).iterations == 4
    with pytest.raises(InputError) as error:
        job(tmp_path, automatically=True, iterations=6)
    assert error.value.problems == (
        "birds: the project has ended by the stopping rule minutes; set stop.automatically to false to go on",
    )
