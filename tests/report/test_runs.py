import json
from pathlib import Path

import pytest
from made_up import config, runs, trial

from raycal.config import load_sweep
from raycal.errors import InputError
from raycal.experiment.build import REGISTRIES
from raycal.report.figures.slices import datasets
from raycal.report.runs import Runs, read_runs
from raycal.report.stats.comparison import by_dataset
from raycal.report.tables import tables
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

SWEEP = """
name: small
experiment:
  dataset: {name: digits}
  model: {weights: none}
  scenario: random
grid: {scenario: [random, cluster-only], expert.purity_threshold: [0.7, 0.9], seed: [1, 0]}
"""

LINE = {"iteration": 0, "interactions": 10, "annotated": 10, "cluster_label_error": None, "test_accuracy": 0.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a planned sweep with six experiments. The purity threshold cannot affect `random`."""
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    sweep = load_sweep(str(path), REGISTRIES)
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "small")))
    sweep_dir.write_plan(SweepPlan(sweep="small", experiments=sweep.experiments, threads=1))
    return tmp_path / "small"


def test_seeds_are_taken_together(folder: Path) -> None:
    found = read_runs(str(folder))
    assert found.name == "small"
    assert len(found.trials) == 6
    assert [(group.label, [trial.config.seed for trial in group.trials]) for group in found.groups] == [
        ("random", [0, 1]),
        ("cluster-only (purity threshold 0.7)", [0, 1]),
        ("cluster-only (purity threshold 0.9)", [0, 1]),
    ]
    assert found.groups[1].settings == {"scenario": "cluster-only", "expert.purity_threshold": "0.7"}


@pytest.mark.parametrize(
    ("dataset", "even"),
    [
        # P(X > 18 | 100, 1/10) = 0.0046 and P(X > 17) is above the level of 0.01.
        ({"num_classes": 10, "num_test": 100}, 0.18),
        ({"num_classes": 2, "num_test": 1}, 1.0),
        ({}, None),
    ],
)
def test_guessing_level_of_an_even_test_split_is_known_from_its_size(
    folder: Path, dataset: dict[str, int], even: float | None
) -> None:
    key = next(iter(SweepDir(Folder.at(str(folder))).read_plan().experiments))  # type: ignore[union-attr]
    (folder / key).mkdir()
    (folder / key / "environment.json").write_text(json.dumps({"dataset": dataset}))

    assert [trial.even_chance for trial in read_runs(str(folder)).trials] == [even, None, None, None, None, None]


def test_labels_leave_out_the_dataset_and_what_only_depends_on_it() -> None:
    settings = [{"num_clusters": None}, {"num_clusters": 20}]
    groups = runs(
        trial("random", dataset="digits"),
        *(trial("cluster-only", dataset="digits", clustering={"name": "kmeans", **one}) for one in settings),
        trial("cluster-only", dataset="cifar10", clustering={"name": "kmeans", "num_clusters": 20}),
    ).groups
    assert [group.label for group in groups] == [
        "random",
        "cluster-only (num clusters default)",
        "cluster-only (num clusters 20)",
        "cluster-only",
    ]


def test_scenarios_of_one_name_with_other_steps_stay_apart(tmp_path: Path) -> None:
    scenarios = [
        {"name": "mix", "steps": [{"ask": "clusters", "share": share}, {"ask": "uncertain", "share": rest}]}
        for share, rest in (("1/4", "3/4"), ("3/4", "1/4"))
    ]
    configs = [config(scenario, seed=seed) for scenario in [*scenarios, "random"] for seed in (0, 1)]
    plan = SweepPlan(sweep="small", experiments={one.experiment_id: one for one in configs}, threads=1)
    SweepDir(Folder.at(str(tmp_path))).write_plan(plan)
    assert [(group.label, len(group.trials)) for group in read_runs(str(tmp_path)).groups] == [
        ("mix (1/4 clusters, 3/4 uncertain)", 2),
        ("mix (3/4 clusters, 1/4 uncertain)", 2),
        ("random", 2),
    ]


def test_acquisitions_are_groups_with_the_options_that_tell_them_apart(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    choices = "[entropy, margin, {name: bald, passes: 5}, {name: bald, passes: 9}]"
    grid = f"grid: {{acquisition: {choices}, seed: [0, 1]}}"
    path.write_text(f"{SWEEP[: SWEEP.index('grid')].replace('random', 'uncertain-only')}{grid}\n")
    sweep_dir = SweepDir(Folder.at(str(tmp_path / "small")))
    sweep_dir.write_plan(SweepPlan(sweep="small", experiments=load_sweep(str(path), REGISTRIES).experiments, threads=1))

    groups = read_runs(sweep_dir.folder.path).groups
    assert [(group.label, len(group.trials)) for group in groups] == [
        ("uncertain-only (acquisition entropy)", 2),
        ("uncertain-only (acquisition margin)", 2),
        ("uncertain-only (acquisition bald, passes 5)", 2),
        ("uncertain-only (acquisition bald, passes 9)", 2),
    ]
    assert groups[0].settings["acquisition.passes"] == "-"


def test_only_what_ran_to_its_end_is_finished(folder: Path) -> None:
    sweep_dir = SweepDir(Folder.at(str(folder)))
    ids = [trial.experiment_id for trial in read_runs(str(folder)).trials]
    finished, failed, stopped = (RunWriter.of(sweep_dir, key) for key in ids[:3])
    finished.folder.write("results.jsonl", json.dumps(LINE).encode() + b"\n")
    finished.finish("iterations")
    failed.fail("iteration 0: DivergedError: training diverged\n")
    stopped.folder.write("results.jsonl", json.dumps(LINE).encode() + b"\n")
    stopped.stop("asha")

    trials = read_runs(str(folder)).trials
    assert [trial.status for trial in trials] == ["finished", "failed", "stopped", *["unfinished"] * 3]
    assert [trial.reason for trial in trials[:4]] == ["", "iteration 0: DivergedError: training diverged", "asha", ""]
    assert [trial.lines for trial in trials[:2]] == [(LINE,), ()]
    assert [len(group.finished) for group in read_runs(str(folder)).groups] == [1, 0, 0]


def test_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the folder of a sweep"):
        read_runs(str(tmp_path))


def test_trials_that_read_different_data_are_not_averaged(folder: Path) -> None:
    sweep_dir = SweepDir(Folder.at(str(folder)))
    plan = sweep_dir.read_plan()
    assert plan is not None
    for key, experiment in plan.experiments.items():
        sizes = {"num_train": 3, "num_test": 1, "num_listed": 4}
        images = "before" if experiment.seed == 0 else "after"
        run_dir = RunWriter.of(sweep_dir, key)
        run_dir.begin(experiment)
        run_dir.write_environment({"dataset": {"digest": images, "images": images, "listing": "same", **sizes}})
        run_dir.folder.write("results.jsonl", (json.dumps(LINE) + "\n").encode())
        run_dir.finish("iterations")

    found = read_runs(str(folder))

    assert [(group.label, [trial.config.seed for trial in group.trials]) for group in found.groups] == [
        (label, [seed])
        for label in ("random", "cluster-only (purity threshold 0.7)", "cluster-only (purity threshold 0.9)")
        for seed in (1, 0)
    ]
    assert [comparison.dataset for comparison in by_dataset(found)] == ["digits data 1", "digits data 2"]
    assert found.warnings == [
        "The trials on digits have read different images, labels or weights: they are shown separately, as data 1, "
        "data 2 and so on, and no mean is taken over different data."
    ]


def test_seeds_of_one_trial_stay_together_where_a_setting_does_not_concern_it() -> None:
    """The threshold cannot affect `random`, but an extended sweep may have planned further seeds of it under another
    threshold."""
    trials = [
        trial("random", seed=seed, expert={"purity_threshold": value}) for seed, value in enumerate((0.7, 0.8, 0.7))
    ]
    (group,) = Runs(name="tiny", trials=tuple(trials)).groups

    assert [one.config.seed for one in group.trials] == [0, 1, 2]


def test_trials_that_the_sweep_file_no_longer_asks_for_are_marked(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "tiny"))
    first, second = (config(seed=seed) for seed in (0, 1))
    experiments = {one.experiment_id: one for one in (first, second)}
    SweepDir(folder).write_plan(
        SweepPlan(sweep="tiny", experiments=experiments, threads=1, axes=("seed",), removed=(second.experiment_id,))
    )

    runs = read_runs(folder.uri)

    assert [one.is_removed for one in runs.trials] == [False, True]
    assert [one.experiment_id for one in runs.incomplete] == [first.experiment_id]
    assert runs.removed_words.startswith("1 trial is no longer in the sweep file: 0 finished")
    assert list(tables(runs)["summary"]["note"]) == ["no seed finished; 1 of 2 seeds no longer in the sweep file"]
    assert list(tables(runs)["failures"]["reason"])[1] == "no longer in the sweep file"


def test_folders_of_images_are_called_by_their_names(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "tiny"))
    configs = [config(dataset={"name": "image_folder", "root": root}) for root in ("/a/birds", "/b/birds", "/b/cats")]
    experiments = {one.experiment_id: one for one in configs}
    SweepDir(folder).write_plan(SweepPlan(sweep="tiny", experiments=experiments, threads=1))

    runs = read_runs(folder.uri)

    assert datasets(runs) == ["a/birds", "b/birds", "cats"]
    assert [comparison.dataset for comparison in by_dataset(runs)] == ["a/birds", "b/birds", "cats"]
