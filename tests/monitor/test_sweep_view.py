import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import CONFIGS, commit, planned

from raycal.errors import InputError
from raycal.monitor.sweep_view import SweepView
from raycal.monitor.trial_lines import summary
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

RANDOM, CLUSTERS = CONFIGS
SECONDS = 1.75  # Each iteration that `commit` makes takes this many seconds.


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    """The folder of a sweep of two trials that have not begun."""
    return planned(tmp_path / "birds")


def test_trials_are_those_of_the_plan_in_its_order(sweep_dir: SweepDir) -> None:
    view = SweepView(sweep_dir)
    first, second = view.trials()

    assert view.name == "birds"
    assert [first.label, second.label] == ["random s3", "cluster-only s3"]
    assert (first.experiment_id, first.state, first.iterations) == (RANDOM.experiment_id, "planned", RANDOM.iterations)
    assert (first.records, first.reason, first.seconds_left) == ([], "", None)


def test_iterations_are_seen_when_they_are_saved(sweep_dir: SweepDir) -> None:
    view = SweepView(sweep_dir)
    for number in range(2):
        commit(sweep_dir, number)
        first, second = view.trials()
        assert (first.state, second.state) == ("running", "planned")
        assert [record["iteration"] for record in first.records] == list(range(number + 1))
        assert first.records[-1]["test_accuracy"] == 0.25 * (number + 1)
        assert first.seconds_left == pytest.approx(SECONDS * (RANDOM.iterations - number - 1))
        # The other trial has no iteration yet, so its time is estimated from the trial that has one.
        assert second.seconds_left is not None
        assert second.seconds_left >= SECONDS * CLUSTERS.iterations


def test_highest_accuracy_so_far_does_not_fall(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 2)  # This iteration has an accuracy of 0.75.
    trial, _ = SweepView(sweep_dir).trials()
    worse = {**trial.records[0], "test_accuracy": 0.5}
    trial = replace(trial, records=[*trial.records, worse])  # type: ignore[list-item]
    assert summary([trial]) == "1 trial, 1 running, highest accuracy so far 0.750 (random s3)"
    assert summary([replace(trial, is_bound=True)]) == "1 trial, 1 running"


def test_trials_end_in_each_way(sweep_dir: SweepDir) -> None:
    view = SweepView(sweep_dir)
    commit(sweep_dir, 0)
    view.trials()
    RunWriter.of(sweep_dir, RANDOM.experiment_id).stop("asha")
    RunWriter.of(sweep_dir, CLUSTERS.experiment_id).fail("iteration 0: ValueError: a\nmore")

    first, second = view.trials()
    assert (first.state, first.reason, first.seconds_left) == ("stopped", "asha", None)
    assert (second.state, second.reason, second.seconds_left) == ("failed", "iteration 0: ValueError: a", None)

    RunWriter.of(sweep_dir, CLUSTERS.experiment_id).forget_failure()  # This happens when the sweep is resumed.
    commit(sweep_dir, 0, CLUSTERS)
    RunWriter.of(sweep_dir, CLUSTERS.experiment_id).finish("iterations")
    assert [trial.state for trial in view.trials()] == ["stopped", "finished"]


def test_trials_of_a_process_that_is_gone_are_interrupted(sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    view = SweepView(sweep_dir)
    assert [trial.state_word for trial in view.trials()] == ["running", "planned"]

    # This number is larger than any process id.
    owner = {"epoch": 1, "start": "a", "host": socket.gethostname(), "pid": 2**22 + 1}
    sweep_dir.folder.write("owner.json", json.dumps(owner).encode())
    first, second = view.trials()
    assert (first.state_word, first.seconds_left, first.is_interrupted) == ("interrupted", None, True)
    assert (second.state_word, second.seconds_left, second.is_interrupted) == ("planned", None, True)
    assert "1 interrupted, 1 planned" in summary([first, second])

    RunWriter.of(sweep_dir, RANDOM.experiment_id).finish("iterations")
    first, _ = view.trials()
    assert (first.state_word, first.is_interrupted) == ("finished", False)


def test_complete_trials_are_read_once(sweep_dir: SweepDir, tmp_path: Path) -> None:
    commit(sweep_dir, 0)
    RunWriter.of(sweep_dir, RANDOM.experiment_id).finish("iterations")
    view = SweepView(sweep_dir)
    before = view.trials()[0]
    (tmp_path / "birds" / RANDOM.experiment_id / "results.jsonl").unlink()

    assert view.trials()[0] == before


def test_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not the folder of a sweep: it has no plan\.json"):
        SweepView(SweepDir(Folder.at(str(tmp_path)))).trials()
