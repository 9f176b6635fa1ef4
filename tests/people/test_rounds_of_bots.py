"""Tests that the worker keeps what each model predicts for the hold-out, and ends a project by a stopping rule."""

from pathlib import Path

import numpy as np
import pytest
from labeled_run import label_run

from raycal.people.fold import book_when_closed
from raycal.people.log import read_events
from raycal.people.progress import read_progress
from raycal.people.stopping import Rule, StopRules
from raycal.storage.predictions import read_predictions
from raycal.storage.run_dir import TrialState


@pytest.mark.slow
def test_predictions_are_those_whose_accuracy_was_measured(tmp_path: Path) -> None:
    run_dir = label_run(tmp_path, rounds=2, iterations=3).run_dir
    events = read_events(run_dir.folder)

    for line in run_dir.results():
        kept = read_predictions(run_dir.folder, line["iteration"])
        assert kept is not None
        assert (len(kept.predicted), {*kept.labels.tolist()}) == (24, {-1})
        labels = book_when_closed(events, line["iteration"]).holdout()
        right = [kept.predicted[position] == label for position, label in labels.items()]
        assert np.mean(right) == pytest.approx(line["test_accuracy"])

    progress = read_progress(
        run_dir.folder,
        num_test=lambda _: 24,
        labels=lambda iteration: book_when_closed(events, iteration).holdout(),
        rules=StopRules(),
        total_rounds=3,
        noun="image",
    )
    assert progress is not None
    gain = progress.rounds[1].gain
    assert gain is not None
    first, second = run_dir.results()
    assert gain.gain == pytest.approx(second["test_accuracy"] - first["test_accuracy"])
    assert progress.rounds_left == 1


@pytest.mark.slow
def test_project_ends_by_itself_after_the_round_in_which_a_rule_holds(tmp_path: Path) -> None:
    rules = StopRules(minutes=0.01, automatically=True)

    run_dir = label_run(tmp_path, rounds=1, iterations=3, stop_rules=rules).run_dir

    assert len(run_dir.results()) == 1
    assert (run_dir.state(), run_dir.reason()) == (TrialState.FINISHED, Rule.MINUTES.reason)
    assert not run_dir.has_states()
    assert not run_dir.folder.exists("people/steps/iteration-001-step-0.json")
    assert run_dir.damage() == []
