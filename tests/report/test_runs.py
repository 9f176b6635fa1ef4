import json
from pathlib import Path

import pytest

from raycal.build import REGISTRIES
from raycal.config import load_sweep
from raycal.errors import InputError
from raycal.files import Folder
from raycal.plan import Plan, SweepDir
from raycal.report.runs import read_runs

SWEEP = """
name: small
experiment:
  dataset: {name: digits}
  model: {weights: none}
  scenario: random
grid: {scenario: [random, cluster-only], expert.purity_threshold: [0.7, 0.9], seed: [1, 0]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep of six experiments, planned; a threshold does not concern `random`."""
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    sweep = load_sweep(str(path), REGISTRIES)
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "small")))
    sweep_dir.write_plan(Plan(sweep="small", experiments=sweep.experiments, threads=1))
    return tmp_path / "small"


def test_seeds_are_taken_together(folder: Path) -> None:
    runs = read_runs(str(folder))
    assert runs.name == "small"
    assert len(runs.trials) == 6
    assert [(group.label, [trial.config.seed for trial in group.trials]) for group in runs.groups] == [
        ("random, 0.7", [0, 1]),
        ("cluster-only, 0.7", [0, 1]),
        ("cluster-only, 0.9", [0, 1]),
    ]
    assert runs.groups[1].settings == {"scenario": "cluster-only", "expert.purity_threshold": "0.7"}


def test_only_what_ran_to_its_end_is_finished(folder: Path) -> None:
    sweep_dir = SweepDir(Folder.at(str(folder)))
    ids = [trial.experiment_id for trial in read_runs(str(folder)).trials]
    finished, failed, stopped = (sweep_dir.run_dir(key) for key in ids[:3])
    finished.folder.write("results.jsonl", json.dumps({"iteration": 0}).encode() + b"\n")
    finished.finish("iterations")
    failed.fail("iteration 0: DivergedError: training diverged\n")
    stopped.folder.write("results.jsonl", json.dumps({"iteration": 0}).encode() + b"\n")
    stopped.stop("asha")

    trials = read_runs(str(folder)).trials
    assert [trial.status for trial in trials] == ["finished", "failed", "stopped", *["unfinished"] * 3]
    assert [trial.reason for trial in trials[:4]] == ["", "iteration 0: DivergedError: training diverged", "asha", ""]
    assert [trial.lines for trial in trials[:2]] == [({"iteration": 0},), ()]
    assert [len(group.finished) for group in read_runs(str(folder)).groups] == [1, 0, 0]


def test_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the folder of a sweep"):
        read_runs(str(tmp_path))
