"""Tests what the terminal says about a project that has ended, and how it says to go on."""

from pathlib import Path

import pytest
from labeled_folder import label_folder

from raycal.annotate.ended import POOL_EXHAUSTED, farewell, lines_of_the_end
from raycal.people.stopping import Rule
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

EXPORT = "to get the labels and the model: add --export DIR to this command"


def end(folder: Path, reason: str | None) -> tuple[SweepDir, RunWriter]:
    sweep_dir, run_dir = label_folder(folder, is_finished=False)
    if reason is not None:
        run_dir.finish(reason)
    return sweep_dir, run_dir


def lines(sweep_dir: SweepDir, run_dir: RunWriter, *overrides: str, automatically: bool = False) -> list[str]:
    return list(
        lines_of_the_end(
            run_dir,
            sweep_dir.folder,
            file="birds.yaml",
            overrides=overrides,
            noun="image",
            stops_automatically=automatically,
        )
    )


def test_project_with_all_rounds_goes_on_with_more_iterations(tmp_path: Path) -> None:
    sweep_dir, run_dir = end(tmp_path, "iterations")
    iterations = run_dir.config().iterations

    assert lines(sweep_dir, run_dir) == [
        "nothing is left to label, because all rounds are finished",
        f"to go on: raise `iterations` in birds.yaml above {iterations} and start this command again",
        EXPORT,
    ]
    sweep_dir.folder.write("report/report.html", b"the report")
    assert lines(sweep_dir, run_dir, "model.weights=none", "iterations=2")[1:] == [
        f"to go on: give a number above {iterations} in --set iterations={iterations} and start this command again",
        EXPORT,
        f"to see what was reached: {tmp_path}/birds/report/report.html",
    ]


@pytest.mark.parametrize("automatically", [True, False])
def test_project_that_a_rule_has_ended_goes_on_without_it(tmp_path: Path, automatically: bool) -> None:
    sweep_dir, run_dir = end(tmp_path, Rule.MINUTES.reason)

    why, how, _ = lines(sweep_dir, run_dir, automatically=automatically)

    assert why == "nothing is left to label, because the project has ended after 2 rounds by the stopping rule minutes"
    assert ("set `automatically: false` in its block `stop`, and start this command again" in how) is automatically


def test_project_without_a_further_image_does_not_go_on_with_more_iterations(tmp_path: Path) -> None:
    sweep_dir, run_dir = end(tmp_path, POOL_EXHAUSTED)

    assert lines(sweep_dir, run_dir) == [
        "nothing is left to label, because no image is left to ask about after 2 rounds",
        EXPORT,
    ]
    said = farewell(run_dir, "runs/birds", {"noun": "image", "phase": "finished"})
    assert said == (
        "no image is left to ask about after 2 rounds; all answers are in runs/birds; --export DIR writes the labels"
    )


def test_project_that_goes_on_says_how_far_its_round_is(tmp_path: Path) -> None:
    sweep_dir, run_dir = end(tmp_path, None)

    assert lines(sweep_dir, run_dir) == []
    state = {"noun": "image", "phase": "open", "iteration": 2, "round_answered": 3, "budget": 16, "rounds": 5}
    assert farewell(run_dir, "runs/birds", state) == (
        "round 3: 3 of 16 answered; all answers are in runs/birds; the same command continues the project"
    )
