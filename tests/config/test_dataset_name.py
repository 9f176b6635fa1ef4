"""Tests that every part of raycal that names a folder of images uses the same name for it."""

import re
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image

from raycal.config import ExperimentConfig, Sweep, load_sweep
from raycal.config.dataset_names import dataset_names
from raycal.dry_run.cost import print_estimate
from raycal.errors import InputError, counted
from raycal.experiment import build
from raycal.monitor.sweep_metrics import SweepMetrics
from raycal.report.runs import Runs, Trial
from raycal.report.stats.comparison import by_dataset
from raycal.sweep.preflight import check, describe
from raycal.tracking.tags import dataset_input, run_name, trial_tags


def folder(place: Path) -> Path:
    """A folder of two classes with two images each."""
    for name in ("bird", "cat"):
        (place / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8), (number, number, number)).save(place / name / f"{number}.png")
    return place


def experiments(*roots: Path) -> dict[str, ExperimentConfig]:
    given = [{"dataset": {"name": "image_folder", "root": str(root)}, "scenario": "random"} for root in roots]
    configs = [ExperimentConfig.model_validate(one, context=build.REGISTRIES) for one in given]
    return {config.experiment_id: config for config in configs}


@pytest.mark.parametrize(
    ("place", "name"), [("nc/data", "nc/data"), ("nc/birds", "birds"), ("birds/images", "birds/images")]
)
def test_every_place_says_the_same_name(
    tmp_path: Path, place: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path / place)
    made = experiments(root)
    ((key, config),) = made.items()
    infos = check(made)

    # This line is printed at the start of a sweep.
    assert describe(infos.values())[0].startswith(f"images  {name}: 2 classes (bird 2, cat 2)")
    print_estimate(sweep_of(tmp_path, root), made, infos, _no_machine)
    assert f"dataset {name}: {root}" in capsys.readouterr().out.splitlines()  # This line is printed by the dry run.
    trial = Trial(
        experiment_id=key, config=config, scenario="random", status="finished", reason="", lines=(), folder=""
    )
    (comparison,) = by_dataset(Runs(name="tiny", trials=(trial,)))
    assert (trial.dataset_name, comparison.dataset) == (name, name)  # This is the name in the report.
    assert trial_tags(config, {})["dataset"] == name  # This is the name in MLflow.
    assert run_name(key, config) == f"random s0 {name} {key[-8:]}"
    sent = dataset_input(config, {"dataset": {"digest": "0"}})
    assert sent is not None
    assert sent.dataset.name == name
    metrics = SweepMetrics("tiny", made, 1)  # This is the name in Prometheus.
    assert {sample.labels["dataset"] for sample in metrics.samples(0) if "dataset" in sample.labels} == {name}


def sweep_of(tmp_path: Path, root: Path) -> Sweep:
    path = tmp_path / "tiny.yaml"
    path.write_text(f"name: tiny\nexperiment: {{dataset: {{name: image_folder, root: {root}}}, scenario: random}}\n")
    return load_sweep(str(path), build.REGISTRIES)


def _no_machine() -> NoReturn:
    raise InputError("no machine")


def test_one_trial_is_no_plural(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "birds")
    made = experiments(root)
    print_estimate(sweep_of(tmp_path, root), made, check(made), _no_machine)

    assert re.search(r"^tiny: 1 trial, [0-9,]+ interactions$", capsys.readouterr().out, re.MULTILINE)
    assert [counted(number, "trial") for number in (0, 1, 2, 1000)] == [
        "0 trials",
        "1 trial",
        "2 trials",
        "1,000 trials",
    ]


def test_chosen_trials_have_the_names_of_the_whole_sweep(tmp_path: Path) -> None:
    made = experiments(folder(tmp_path / "a" / "birds"), folder(tmp_path / "b" / "birds"))
    (key, config), _ = made.items()

    assert dataset_names(list(made.values())) == ["a/birds", "b/birds"]
    assert check({key: config}, made)[key].name == "a/birds"
    assert check({key: config})[key].name == "birds"
    samples = SweepMetrics("tiny", {key: config}, 1, made).samples(0)
    assert {sample.labels["dataset"] for sample in samples if "dataset" in sample.labels} == {"a/birds"}
