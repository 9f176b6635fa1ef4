"""Tests that the sweep file that the page offers describes the same experiments as the sweep."""

from pathlib import Path
from typing import Any

import pytest
from made_up import runs, trial

from raycal.config import load_sweep
from raycal.experiment.build import REGISTRIES
from raycal.report.runs import Trial
from raycal.report.sweep_file import sweep_file

THRESHOLDS: list[dict[str, Any]] = [{"expert": {"name": "oracle", "purity_threshold": value}} for value in (0.7, 0.9)]


@pytest.mark.parametrize(
    "trials",
    [
        [trial("random")],
        [trial(name, seed=seed) for name in ("random", "supervised", "cluster-only") for seed in (0, 1)],
        [trial("random"), *(trial("cluster-only", **settings) for settings in THRESHOLDS)],
        [trial("random", seed=3), trial("cluster-only", seed=4), trial("cluster-only", seed=3)],
        [trial("random", dataset={"name": "digits", "train_size": size}) for size in (90, 100)],
        [trial("random", workers=2)],
    ],
    ids=["one trial", "grid", "thresholds", "no grid", "two datasets", "two workers"],
)
def test_file_asks_for_the_same_experiments(trials: list[Trial], tmp_path: Path) -> None:
    place = tmp_path / "made-up.yaml"
    place.write_text(sweep_file(runs(*trials)))

    sweep = load_sweep(str(place), REGISTRIES)
    assert sweep.name == "made-up"
    assert set(sweep.experiments) == {trial.experiment_id for trial in trials}


def test_all_combinations_are_written_as_a_grid() -> None:
    text = sweep_file(runs(*(trial(name, seed=seed) for name in ("random", "ceal") for seed in (0, 1))))
    assert text.endswith("grid:\n  scenario:\n  - random\n  - ceal\n  seed:\n  - 0\n  - 1\n")
