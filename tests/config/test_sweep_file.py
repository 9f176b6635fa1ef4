import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from raycal.algorithm.scenario import Ask, PseudoLabelsBy
from raycal.config import ExperimentConfig, Sweep, load_sweep
from raycal.config.training import CONVERGENCE
from raycal.errors import InputError
from raycal.experiment import build

MINIMAL = """\
name: tiny
experiment:
  dataset: digits
  scenario: uncertain+cluster
"""

# All keys of an experiment, each with a value that is not the default.
OTHER_VALUES: dict[str, Any] = {
    "dataset.name": "eurosat",
    "dataset.test_fraction": 0.3,
    "dataset.split_seed": 1,
    "dataset.train_size": 100,
    "dataset.test_size": 50,
    "dataset.subset_seed": 1,
    "model.name": "vit_b_16",
    "model.weights": "none",
    "model.frozen": True,
    "scenario": "cluster+uncertain",
    "iterations": 3,
    "interactions_per_iteration": 10,
    "acquisition.name": "margin",
    "clustering.name": "ward",
    "clustering.num_clusters": 7,
    "clustering.core": 0.8,
    "clustering.order": "random",
    "clustering.on_refusal": "split",
    "clustering.iterations": 10,
    "expert.name": "crowd",
    "expert.purity_threshold": 0.5,
    "expert.seconds_per_sample": 1.0,
    "expert.seconds_per_cluster": 2.0,
    "expert.seconds_per_image_shown": 0.5,
    "expert.seconds_per_refused_cluster": 3.0,
    "training.stop": "steps",
    "training.epochs": 1,
    "training.steps": 31,
    "training.patience": 4,
    "training.min_delta": 0.1,
    "training.validation_fraction": 0.2,
    "training.monitor": "accuracy",
    "training.restore_best": True,
    "training.batch_size": 32,
    "training.optimizer.name": "adamw",
    "training.learning_rate": 0.01,
    "training.schedule": "cosine",
    "training.warmup": 0.1,
    "training.momentum": 0.5,
    "training.weight_decay": 0.0,
    "training.image_size": 64,
    "training.horizontal_flip": True,
    "training.augmentation": "flip+crop",
    "training.dtype": "float32",
    "training.loss.name": "gce",
    "training.cluster_weight": 0.5,
    "seed": 1,
    "ask_with": "initial",
    "retrain_between": True,
    "keep_cluster_labels": True,
    "workers": 2,
}

Load = Callable[..., Sweep]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A function that loads a sweep file with the given text."""

    def load(text: str, *overrides: str) -> Sweep:
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return load_sweep(str(path), build.REGISTRIES, overrides=overrides)

    return load


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """A function that returns the problems of a sweep file with the given text, with `sweep.yaml` as its path."""

    def problems(text: str, *overrides: str) -> list[str]:
        with pytest.raises(InputError) as refused:
            load(text, *overrides)
        return [line.replace(f"{tmp_path}/", "") for line in refused.value.problems]

    return problems


def only(sweep: Sweep) -> ExperimentConfig:
    """The only experiment of a sweep."""
    (experiment,) = sweep.experiments.values()
    return experiment


def with_value(key: str, value: Any, base: ExperimentConfig) -> ExperimentConfig:
    """The experiment with another value at a dotted key; component names are not checked."""
    settings: dict[str, Any] = base.model_dump(mode="json")
    *path, last = key.split(".")
    inner = settings
    for name in path:
        inner = inner.setdefault(name, {})  # files omit some groups that change nothing
    inner[last] = value
    return ExperimentConfig.model_validate(settings)


def digest(experiment: ExperimentConfig) -> str:
    return experiment.experiment_id[-8:]


def test_defaults_are_the_papers(load: Load) -> None:
    assert only(load(MINIMAL)).flat() == {
        "dataset.name": "digits",
        "dataset.test_fraction": 0.2,
        "dataset.split_seed": 0,
        "dataset.train_size": None,
        "dataset.test_size": None,
        "dataset.subset_seed": 0,
        "model.name": "resnet18",
        "model.weights": "imagenet",
        "model.frozen": False,
        "scenario": "uncertain+cluster",
        "iterations": 15,
        "interactions_per_iteration": 1000,
        "acquisition.name": "entropy",
        "clustering.name": "kmeans",
        "clustering.num_clusters": None,
        "clustering.core": 1.0,
        "clustering.order": "size",
        "clustering.on_refusal": "skip",
        "clustering.iterations": 40,
        "expert.name": "oracle",
        "expert.purity_threshold": 0.8,
        "expert.seconds_per_sample": 4.2,
        "expert.seconds_per_cluster": 4.2,
        "expert.seconds_per_image_shown": 0.0,
        "expert.seconds_per_refused_cluster": None,
        "training.stop": "epochs",
        "training.epochs": 5,
        "training.steps": None,
        "training.patience": 3,
        "training.min_delta": 0.01,
        "training.validation_fraction": 0.0,
        "training.monitor": "loss",
        "training.restore_best": False,
        "training.batch_size": 64,
        "training.optimizer.name": "sgd",
        "training.learning_rate": 0.001,
        "training.schedule": "constant",
        "training.warmup": 0,
        "training.momentum": 0.9,
        "training.weight_decay": 0.0005,
        "training.image_size": 224,
        "training.horizontal_flip": False,
        "training.augmentation": "none",
        "training.dtype": "auto",
        "training.loss.name": "cross_entropy",
        "training.cluster_weight": 1.0,
        "seed": 0,
        "ask_with": "previous",
        "retrain_between": False,
        "keep_cluster_labels": False,
        "workers": 1,
    }


def test_resources_and_tracking_are_chosen_automatically_unless_given(load: Load) -> None:
    sweep = load(MINIMAL)

    assert sweep.resources.model_dump() == {
        "workers_per_trial": 1,
        "gpus_per_worker": None,
        "cpus_per_worker": None,
        "max_concurrent_trials": None,
        "compile": None,
    }
    assert sweep.tracking.uri is None


def test_resources_and_tracking_are_taken_from_the_file(load: Load) -> None:
    resources = "resources: {gpus_per_worker: 0.5, cpus_per_worker: 4, max_concurrent_trials: auto, compile: false}\n"
    sweep = load(f"{MINIMAL}{resources}tracking: {{uri: http://localhost:5000}}\n")

    assert (sweep.resources.gpus_per_worker, sweep.resources.cpus_per_worker) == (0.5, 4)
    assert sweep.resources.max_concurrent_trials is None
    assert sweep.resources.compile is False
    assert sweep.tracking.uri == "http://localhost:5000"


def test_id_tells_dataset_scenario_and_seed(load: Load) -> None:
    (experiment_id,) = load(f"{MINIMAL}  seed: 7\n").experiments

    assert re.fullmatch(r"digits-uncertain\+cluster-s7-[0-9a-f]{8}", experiment_id)


def test_experiments_come_in_the_order_of_the_grid_the_last_key_fastest(load: Load) -> None:
    sweep = load(f"{MINIMAL}grid:\n  scenario: [random, cluster-only]\n  seed: [1, 0, 2]\n")

    assert sweep.name == "tiny"
    assert sweep.num_combinations == 6
    assert [experiment_id.rsplit("-", 1)[0] for experiment_id in sweep.experiments] == [
        "digits-random-s1",
        "digits-random-s0",
        "digits-random-s2",
        "digits-cluster-only-s1",
        "digits-cluster-only-s0",
        "digits-cluster-only-s2",
    ]
    assert all(config.experiment_id == key for key, config in sweep.experiments.items())


def test_grid_reaches_keys_at_every_depth(load: Load) -> None:
    grid = """\
grid:
  training.epochs: [1, 2]
  clustering.num_clusters: [null, 30]
  expert.purity_threshold: [0.6, 1]
"""
    sweep = load(MINIMAL + grid)

    assert [
        (config.training.epochs, config.clustering.num_clusters, config.expert.options["purity_threshold"])
        for config in sweep.experiments.values()
    ] == [(epochs, k, purity) for epochs in (1, 2) for k in (None, 30) for purity in (0.6, 1.0)]


def test_grid_takes_datasets_by_name_and_with_options(load: Load, tmp_path: Path) -> None:
    folder = f"{{name: image_folder, root: {tmp_path}, train_size: 10}}"
    sweep = load(f"{MINIMAL}grid:\n  dataset: [digits, cifar10, {folder}]\n")

    datasets = [config.dataset for config in sweep.experiments.values()]
    assert [dataset.name for dataset in datasets] == ["digits", "cifar10", "image_folder"]
    assert datasets[2].options["root"] == str(tmp_path)
    assert datasets[2].options["train_size"] == 10


def test_grid_takes_an_own_scenario_beside_a_name(load: Load) -> None:
    own = "{name: third, steps: [{ask: random, share: 1/3}, {ask: clusters, share: 2/3}]}"
    sweep = load(f"{MINIMAL}grid:\n  scenario: [random, {own}]\n")

    assert [config.resolved_scenario.name for config in sweep.experiments.values()] == ["random", "third"]


def test_grid_does_not_leave_a_value_behind_in_the_next_combination(load: Load) -> None:
    sweep = load(
        f"{MINIMAL}grid:\n  dataset: [{{name: digits, train_size: 10}}, digits]\n  dataset.test_size: [5, 6]\n"
    )

    assert [
        (config.dataset.options["train_size"], config.dataset.options["test_size"])
        for config in sweep.experiments.values()
    ] == [(10, 5), (10, 6), (None, 5), (None, 6)]


@pytest.mark.parametrize(
    ("grid", "num_experiments"),
    [
        ("{scenario: [random, cluster-only], expert.purity_threshold: [0.7, 0.8, 0.9]}", 1 + 3),
        ("{scenario: [random, uncertain-only], clustering.num_clusters: [10, 20]}", 1 + 1),
        ("{scenario: [supervised, random], interactions_per_iteration: [10, 20]}", 1 + 2),
        ("{scenario: [supervised, random], iterations: [1, 2]}", 1 + 2),
        ("{scenario: [random, cluster-only, uncertain-only], ask_with: [previous, initial]}", 1 + 2 + 2),
        ("{scenario: [random, cluster-only, uncertain+cluster], retrain_between: [true, false]}", 1 + 1 + 2),
        ("{seed: [1, 1]}", 1),
    ],
)
def test_combinations_that_cannot_differ_are_one_experiment(load: Load, grid: str, num_experiments: int) -> None:
    sweep = load(f"{MINIMAL}grid: {grid}\n")

    assert len(sweep.experiments) == num_experiments
    assert sweep.num_combinations >= num_experiments


def test_number_of_combinations_counts_those_merged(load: Load) -> None:
    sweep = load(f"{MINIMAL}grid: {{scenario: [random], expert.purity_threshold: [0.7, 0.8, 0.9], seed: [0, 1]}}\n")

    assert (sweep.num_combinations, len(sweep.experiments)) == (6, 2)


@pytest.mark.parametrize(
    "spelled_out",
    [
        "  acquisition: entropy",
        "  acquisition: {name: entropy}",
        "  clustering: kmeans",
        "  clustering: {iterations: 40}",
        "  clustering: {name: kmeans, iterations: 40, num_clusters: null}",
        "  expert: oracle",
        "  expert: {purity_threshold: 0.8}",
        "  expert: {name: oracle, purity_threshold: 0.80, seconds_per_sample: 4.2, seconds_per_cluster: 4.2}",
        "  model: {name: resnet18, weights: imagenet}",
        "  model: {frozen: false}",
        "  training: {}",
        "  training: {loss: cross_entropy, cluster_weight: 1}",
        "  training: {loss: {name: cross_entropy}}",
        "  training: {epochs: 5, batch_size: 64, learning_rate: 1e-3, weight_decay: 5.0e-4, image_size: 224}",
        "  iterations: 15\n  interactions_per_iteration: 1000\n  seed: 0\n  ask_with: previous",
    ],
)
def test_defaults_spelled_out_give_the_same_id(load: Load, spelled_out: str) -> None:
    assert list(load(f"{MINIMAL}{spelled_out}\n").experiments) == list(load(MINIMAL).experiments)


@pytest.mark.parametrize("dataset", ["{name: digits}", "{name: digits, train_size: null, test_fraction: 0.2}"])
def test_dataset_spelled_out_gives_the_same_id(load: Load, dataset: str) -> None:
    text = MINIMAL.replace("dataset: digits", f"dataset: {dataset}")

    assert list(load(text).experiments) == list(load(MINIMAL).experiments)


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        ("none", "[]"),
        ("flip", "[flip]"),
        ("flip+crop", "[{name: flip, p: 0.5}, {name: crop, padding: 0.125}]"),
        ("{name: crop, padding: 0.25}", "[{name: crop, padding: 0.25, padding_mode: constant}]"),
    ],
)
def test_augmentation_may_be_written_in_several_ways(load: Load, value: str, same_as: str) -> None:
    first, second = (load(f"{MINIMAL}  training: {{augmentation: {each}}}\n") for each in (value, same_as))

    assert list(first.experiments) == list(second.experiments)
    assert (list(first.experiments) == list(load(MINIMAL).experiments)) == (value == "none")


def test_settings_that_change_nothing_are_not_written(load: Load) -> None:
    text = f"{MINIMAL}  training: {{optimizer: sgd, schedule: constant, warmup: 0.0, augmentation: []}}\n"
    written = only(load(text)).model_dump(mode="json")["training"]
    set_ = only(load(f"{MINIMAL}  training: {{optimizer: adamw, warmup: 5}}\n"))

    assert written == only(load(MINIMAL)).model_dump(mode="json")["training"]
    assert written.keys().isdisjoint({"optimizer", "schedule", "warmup", "augmentation"})
    assert set_.model_dump(mode="json")["training"] == {
        **written,
        "optimizer": {"name": "adamw", "betas": [0.9, 0.999], "eps": 1e-8},
        "warmup": 5,
    }
    assert ExperimentConfig.model_validate(set_.model_dump(mode="json")).experiment_id == set_.experiment_id


def test_order_of_augmentations_changes_the_id(load: Load) -> None:
    first, second = (load(f"{MINIMAL}  training: {{augmentation: {each}}}\n") for each in ("flip+crop", "crop+flip"))

    assert list(first.experiments) != list(second.experiments)


def test_whole_number_for_a_fraction_gives_the_same_id(load: Load) -> None:
    first = load(f"{MINIMAL}  expert: {{purity_threshold: 1}}\n  training: {{weight_decay: 0}}\n")
    second = load(f"{MINIMAL}  expert: {{purity_threshold: 1.0}}\n  training: {{weight_decay: 0.0}}\n")

    assert list(first.experiments) == list(second.experiments)


def test_weights_none_may_be_written_as_null(load: Load) -> None:
    first, second = load(f"{MINIMAL}  model: {{weights: null}}\n"), load(f"{MINIMAL}  model: {{weights: none}}\n")

    assert only(first).model.weights == "none"
    assert list(first.experiments) == list(second.experiments)


def test_name_resources_and_tracking_do_not_change_the_id(load: Load) -> None:
    other = MINIMAL.replace("tiny", "other")
    sweep = load(f"{other}resources: {{cpus_per_worker: 3}}\ntracking: {{uri: http://localhost:5000}}\n")

    assert list(sweep.experiments) == list(load(MINIMAL).experiments)


def test_other_values_cover_every_key(load: Load) -> None:
    assert set(OTHER_VALUES) == set(only(load(MINIMAL)).flat())


@pytest.mark.parametrize("key", OTHER_VALUES)
def test_every_key_of_a_mixed_scenario_changes_the_id(load: Load, key: str) -> None:
    name = key.removeprefix("training.")
    held_out = 0.1 if name in ("monitor", "restore_best") else 0.0
    converged = f"{MINIMAL}  training: {{stop: converged, steps: 30, validation_fraction: {held_out}}}\n"
    base = only(load(converged if name in ("stop", "steps", *CONVERGENCE) else MINIMAL))
    changed = with_value(key, OTHER_VALUES[key], base)

    assert changed.flat()[key] == OTHER_VALUES[key]
    assert digest(changed) != digest(base)


@pytest.mark.parametrize(
    ("scenario", "matters"),
    [
        ("random", {"iterations", "interactions_per_iteration", "price"}),
        ("supervised", {"price"}),
        ("uncertain-only", {"iterations", "interactions_per_iteration", "acquisition", "ask_with", "price"}),
        (
            "cluster-only",
            {
                "iterations",
                "interactions_per_iteration",
                "clustering",
                "expert",
                "ask_with",
                "core",
                "order",
                "split",
                "weight",
                "keep",
            },
        ),
        ("ceal", {"iterations", "interactions_per_iteration", "acquisition", "ask_with", "price"}),
        (
            "representative-only",
            {
                "iterations",
                "interactions_per_iteration",
                "clustering",
                "ask_with",
                "core",
                "order",
                "price",
                "weight",
                "keep",
            },
        ),
        (
            "{name: own, steps: [{ask: random, share: 1}], pseudo_labels: ceal}",
            {"iterations", "interactions_per_iteration", "ask_with", "price"},
        ),
    ],
)
def test_id_depends_on_what_the_scenario_uses_only(load: Load, scenario: str, matters: set[str]) -> None:
    base = only(load(MINIMAL.replace("uncertain+cluster", scenario)))
    keys = {
        "iterations": "iterations",
        "interactions_per_iteration": "interactions_per_iteration",
        "acquisition": "acquisition.name",
        "clustering": "clustering.iterations",
        "expert": "expert.purity_threshold",
        "ask_with": "ask_with",
        "retrain_between": "retrain_between",
        "core": "clustering.core",
        "order": "clustering.order",
        "split": "clustering.on_refusal",
        "price": "expert.seconds_per_sample",
        "weight": "training.cluster_weight",
        "keep": "keep_cluster_labels",
    }

    changing = {
        name
        for name, key in keys.items()
        if with_value(key, OTHER_VALUES[key], base).experiment_id != base.experiment_id
    }

    assert changing == matters


class TestIncludeAndExclude:
    GRID = "grid:\n  scenario: [random, cluster-only]\n  seed: [0, 1, 3]\n"

    def picked(self, sweep: Sweep) -> list[tuple[str, int, int]]:
        return [
            (config.resolved_scenario.name, config.seed, config.training.epochs)
            for config in sweep.experiments.values()
        ]

    def test_combination_with_all_values_of_an_entry_is_excluded(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}{self.GRID}  exclude: [{{scenario: random, seed: 3}}, {{seed: 1}}]\n")

        assert self.picked(sweep) == [("random", 0, 5), ("cluster-only", 0, 5), ("cluster-only", 3, 5)]
        assert sweep.num_combinations == 3

    def test_every_one_of_equal_values_is_excluded(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{seed: [1, 2, 1], exclude: [{{seed: 1}}]}}\n")

        assert [config.seed for config in sweep.experiments.values()] == [2]

    def test_component_is_excluded_by_name_or_as_a_group(self, load: Load) -> None:
        exclude = "[{dataset: {name: digits}}, {dataset: eurosat}]"
        sweep = load(f"{MINIMAL}grid: {{dataset: [digits, cifar10, {{name: eurosat}}], exclude: {exclude}}}\n")

        assert [config.dataset.name for config in sweep.experiments.values()] == ["cifar10"]

    def test_dotted_key_is_excluded(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{training.epochs: [1, 2], seed: [0], exclude: [{{training.epochs: 1}}]}}\n")

        assert [config.training.epochs for config in sweep.experiments.values()] == [2]

    def test_entries_of_include_come_last_on_top_of_the_experiment(self, load: Load) -> None:
        entry = "{scenario: supervised, seed: 0, training.epochs: 20}"
        sweep = load(f"{MINIMAL}  training: {{epochs: 7}}\n{self.GRID}  include: [{entry}]\n")

        assert self.picked(sweep)[:2] == [("random", 0, 7), ("random", 1, 7)]
        assert self.picked(sweep)[-1] == ("supervised", 0, 20)
        assert (sweep.num_combinations, len(sweep.experiments)) == (7, 7)

    def test_include_alone_is_all_there_is(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{include: [{{seed: 4}}, {{seed: 5, training.epochs: 1}}]}}\n")

        assert self.picked(sweep) == [("uncertain+cluster", 4, 5), ("uncertain+cluster", 5, 1)]

    def test_included_combination_that_the_grid_has_is_one_experiment(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}{self.GRID}  include: [{{scenario: random, seed: 3}}]\n")

        assert (sweep.num_combinations, len(sweep.experiments)) == (7, 6)

    def test_override_wins_over_an_included_value(self, load: Load) -> None:
        sweep = load(
            f"{MINIMAL}grid: {{seed: [0], include: [{{seed: 1, training: {{epochs: 9}}}}]}}\n", "training.epochs=2"
        )

        assert self.picked(sweep) == [("uncertain+cluster", 0, 2), ("uncertain+cluster", 1, 2)]

    def test_override_of_a_key_leaves_what_was_excluded_excluded(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}{self.GRID}  exclude: [{{scenario: random}}]\n", "seed=7")

        assert self.picked(sweep) == [("cluster-only", 7, 5)]
        assert sweep.num_combinations == 1

    def test_exclude_may_name_what_an_override_took_out_of_the_grid(self, load: Load) -> None:
        text = f"{MINIMAL}{self.GRID}  exclude: [{{scenario: random, seed: 3}}]\n"
        sweep = load(text, "grid.seed=[0]")

        assert self.picked(sweep) == [("random", 0, 5), ("cluster-only", 0, 5)]

    def test_override_gives_the_list_itself(self, load: Load, problems: Callable[..., list[str]]) -> None:
        text = f"{MINIMAL}{self.GRID}"

        assert len(load(text, "grid.exclude=[{seed: 3}]").experiments) == 4
        assert problems(text, "grid.exclude=[{seed: 2}]") == [
            "--set grid.exclude: grid.exclude.0.seed: 2 is not a value of the grid (known: 0, 1, 3)"
        ]


# Ids of an earlier quickstart. A result that is stored under an id must stay the same experiment.
KNOWN_IDS = [
    "digits-cluster+uncertain-s0-97d62f4c",
    "digits-uncertain+cluster-s0-d2f5bb14",
    "digits-cluster-only-s0-d6888274",
    "digits-supervised-s0-92966688",
    "digits-uncertain-only-s0-c02a2d10",
    "digits-random-s0-65d0403c",
]
KNOWN = """\
name: known
experiment:
  dataset: {name: digits, train_size: 800}
  model: {name: resnet18, weights: none}
  iterations: 2
  interactions_per_iteration: 50
  training: {epochs: 7, batch_size: 16, learning_rate: 0.005, image_size: 32}
grid:
  scenario: [cluster+uncertain, uncertain+cluster, cluster-only, supervised, uncertain-only, random]
"""


def test_ids_stay_what_they_were(load: Load) -> None:
    assert list(load(KNOWN).experiments) == KNOWN_IDS


class TestLengthOfTraining:
    @staticmethod
    def with_training(training: str) -> str:
        return f"{MINIMAL}  training: {{{training}}}\n"

    def test_epochs_matter_with_that_stop_only(self, load: Load) -> None:
        steps = only(load(self.with_training("stop: steps, steps: 30")))

        assert only(load(self.with_training("stop: epochs"))).experiment_id == only(load(MINIMAL)).experiment_id
        assert only(load(self.with_training("epochs: 6"))).experiment_id != only(load(MINIMAL)).experiment_id
        assert {"stop", "steps"} <= steps.relevant()["training"].keys()
        assert steps.relevant()["training"].keys().isdisjoint({"epochs", *CONVERGENCE})

    def test_every_setting_of_convergence_matters_to_the_id(self, load: Load) -> None:
        texts = [
            "stop: steps, steps: 30",
            "stop: steps, steps: 31",
            "stop: converged, steps: 30",
            "stop: converged, steps: 31",
            "stop: converged, steps: 30, patience: 4",
            "stop: converged, steps: 30, min_delta: 0.1",
            "stop: converged, steps: 30, validation_fraction: 0.2",
        ]

        assert len({only(load(self.with_training(text))).experiment_id for text in texts}) == len(texts)

    @pytest.mark.parametrize(
        ("training", "said"),
        [
            ("stop: steps", ["training.steps: should be given with training.stop: steps"]),
            (
                "stop: converged",
                ["training.steps: should be given with training.stop: converged, as the upper limit of a training"],
            ),
            (
                "steps: 30",
                [
                    "training.steps: has no effect with training.stop: epochs; leave it out, or set training.stop to "
                    "steps or converged"
                ],
            ),
            (
                "stop: steps, steps: 30, epochs: 7, patience: 4",
                [
                    "training.epochs: has no effect with training.stop: steps; leave it out, or set training.stop to "
                    "epochs",
                    "training.patience: has no effect with training.stop: steps; leave it out, or set training.stop to "
                    "converged",
                ],
            ),
            (
                "validation_fraction: 0.1",
                [
                    "training.validation_fraction: has no effect with training.stop: epochs; leave it out, or set "
                    "training.stop to converged"
                ],
            ),
        ],
    )
    def test_settings_that_do_not_fit_are_refused(
        self, problems: Callable[..., list[str]], training: str, said: list[str]
    ) -> None:
        found = problems(self.with_training(training))

        assert [line.partition("experiment.")[2] for line in found] == said

    @pytest.mark.parametrize("training", ["stop: steps, steps: 0", "stop: soon", "stop: steps, steps: many"])
    def test_wrong_values_are_refused(self, problems: Callable[..., list[str]], training: str) -> None:
        assert len(problems(self.with_training(training))) >= 1


class TestPseudoLabels:
    OWN = MINIMAL.replace("uncertain+cluster", "{name: own, steps: [{ask: random, share: 1}], pseudo_labels: GIVEN}")

    def own(self, given: str) -> str:
        return self.OWN.replace("GIVEN", given)

    def test_method_of_an_own_scenario_is_filled_in(self, load: Load) -> None:
        by = only(load(self.own("{name: ceal, delta: 0.1}"))).resolved_scenario.pseudo_labels

        assert by == PseudoLabelsBy("ceal", {"delta": 0.1, "decay": 0.0033})

    def test_defaults_spelled_out_give_the_same_id_and_other_options_another(self, load: Load) -> None:
        texts = ("ceal", "{name: ceal}", "{name: ceal, delta: 0.05, decay: 0.0033}", "{name: ceal, delta: 0.1}", "null")
        ids = [only(load(self.own(given))).experiment_id for given in texts]

        assert ids[0] == ids[1] == ids[2]
        assert len(set(ids[2:])) == 3

    def test_scenario_that_has_none_has_the_id_it_had(self, load: Load) -> None:
        without = self.OWN.replace(", pseudo_labels: GIVEN", "")

        assert only(load(without)).experiment_id == only(load(self.own("null"))).experiment_id
        assert only(load(without)).experiment_id == "digits-own-s0-5312e2d3"

    def test_mistakes_are_said(self, problems: Callable[..., list[str]]) -> None:
        (unknown,) = problems(self.own("cael"))
        (option,) = problems(self.own("{name: ceal, threshold: 0.9}"))
        (value,) = problems(self.own("{name: confident, threshold: 1.5}"))

        assert unknown.endswith("scenario.pseudo_labels: 'cael': no such pseudo_labels (did you mean 'ceal'?)")
        assert option.endswith("scenario.pseudo_labels.threshold: unknown key here, an option of confident")
        assert value.endswith("threshold: should be less than or equal to 1, not 1.5")


def test_loss_is_filled_in_and_its_options_change_the_id(load: Load) -> None:
    named, spelled_out, other = (
        load(f"{MINIMAL}  training: {{loss: {loss}}}\n")
        for loss in ("elr", "{name: elr, lam: 3.0}", "{name: elr, lam: 1.0}")
    )

    flat = only(named).flat()
    assert {key: value for key, value in flat.items() if key.startswith("training.loss.")} == {
        "training.loss.name": "elr",
        "training.loss.lam": 3.0,
        "training.loss.momentum": 0.7,
    }
    assert list(named.experiments) == list(spelled_out.experiments) != list(other.experiments)


def test_clusters_may_weigh_what_their_purity_is(load: Load) -> None:
    config = only(load(f"{MINIMAL}  training: {{cluster_weight: purity}}\n"))

    assert config.training.cluster_weight == "purity"
    assert digest(config) != digest(only(load(MINIMAL)))


class TestNestedExpert:
    NOISY = f"{MINIMAL}  expert: {{name: few_images, of: {{name: symmetric_noise, rate: 0.3}}}}\n"

    def test_is_filled_in_at_every_depth(self, load: Load) -> None:
        flat = only(load(self.NOISY)).flat()

        assert {key: value for key, value in flat.items() if key.startswith("expert.")} == {
            "expert.name": "few_images",
            "expert.images_shown": 9,
            "expert.show": "medoids",
            "expert.of.name": "symmetric_noise",
            "expert.of.rate": 0.3,
            "expert.of.of.name": "oracle",
            "expert.of.of.purity_threshold": 0.8,
            "expert.of.of.seconds_per_sample": 4.2,
            "expert.of.of.seconds_per_cluster": 4.2,
            "expert.of.of.seconds_per_image_shown": 0.0,
            "expert.of.of.seconds_per_refused_cluster": None,
        }

    def test_may_be_a_bare_name_or_only_options(self, load: Load) -> None:
        texts = ("majority", "{name: majority, of: oracle}", "{name: majority, of: {purity_threshold: 0.80}}")

        assert len({only(load(f"{MINIMAL}  expert: {text}\n")).experiment_id for text in texts}) == 1

    def test_grid_and_command_line_reach_into_it(self, load: Load) -> None:
        grid = load(f"{self.NOISY}grid: {{expert.of.rate: [0.1, 0.2]}}\n", "expert.of.of.purity_threshold=0.6")
        experts = [config.expert.options["of"] for config in grid.experiments.values()]

        assert [expert["rate"] for expert in experts] == [0.1, 0.2]
        assert [expert["of"]["purity_threshold"] for expert in experts] == [0.6, 0.6]

    def test_what_concerns_clusters_alone_is_not_part_of_a_single_image_scenario(self, load: Load) -> None:
        grid = "grid: {scenario: [random, cluster-only], expert.of.of.purity_threshold: [0.7, 0.9]}\n"
        shown = "grid: {scenario: [random, cluster-only], expert.images_shown: [4, 9]}\n"

        assert len(load(self.NOISY + grid).experiments) == len(load(self.NOISY + shown).experiments) == 1 + 2


class TestWorkers:
    def test_are_part_of_every_experiment_and_of_its_id(self, load: Load) -> None:
        one, two = load(KNOWN), load(f"{KNOWN}resources: {{workers_per_trial: 2}}\n")

        assert [config.workers for config in one.experiments.values()] == [1] * 6
        assert [config.workers for config in two.experiments.values()] == [2] * 6
        assert set(one.experiments) & set(two.experiments) == set()

    def test_may_be_given_on_the_command_line(self, load: Load) -> None:
        sweep = load(MINIMAL, "resources.workers_per_trial=2")

        assert (sweep.resources.workers_per_trial, only(sweep).workers) == (2, 2)

    @pytest.mark.parametrize(
        ("text", "overrides", "line"),
        [
            (f"{MINIMAL}  workers: 2\n", (), "sweep.yaml:5: experiment.workers: belongs under"),
            (f"{MINIMAL}  workers_per_trial: 2\n", (), "sweep.yaml:5: experiment.workers_per_trial: belongs under"),
            (f"{MINIMAL}grid: {{seed: [0, 1], workers: [1, 2]}}\n", (), "sweep.yaml:5: grid.workers: belongs under"),
            (MINIMAL, ("workers_per_trial=2",), "--set workers_per_trial: belongs under"),
            (MINIMAL, ("workers=2",), "--set workers: belongs under"),
        ],
    )
    def test_belong_under_resources(
        self, problems: Callable[..., list[str]], text: str, overrides: tuple[str, ...], line: str
    ) -> None:
        assert problems(text, *overrides) == [f"{line} resources, as resources.workers_per_trial"]

    def test_each_need_two_images_of_a_batch(self, load: Load, problems: Callable[..., list[str]]) -> None:
        four = f"{MINIMAL}  training: {{batch_size: 4}}\nresources: {{workers_per_trial: 2}}\n"
        three = four.replace("size: 4", "size: 3")

        assert only(load(four)).training.batch_size == 4
        assert problems(three) == [
            "sweep.yaml:5: experiment.training.batch_size: should be at least 4, 2 for each of 2 workers, not 3"
        ]


def test_own_steps_become_a_scenario(load: Load) -> None:
    own = (
        "{name: thirds, steps: [{ask: random, share: 1/3}, {ask: uncertain, share: 1/3}, {ask: clusters, share: 1/3}]}"
    )
    scenario = only(load(MINIMAL.replace("uncertain+cluster", own))).resolved_scenario

    assert scenario.name == "thirds"
    assert [(step.ask, step.share) for step in scenario.steps] == [
        (Ask.RANDOM, Fraction(1, 3)),
        (Ask.UNCERTAIN, Fraction(1, 3)),
        (Ask.CLUSTERS, Fraction(1, 3)),
    ]
    assert scenario.budgets(100) == (33, 34, 33)


@pytest.mark.parametrize("shares", ["0.1 0.9", "1/10 9/10", "'0.1' 0.90", "2/20 9e-1"])
def test_same_shares_in_other_words_give_the_same_id(load: Load, shares: str) -> None:
    def experiment_id(first: str, second: str) -> str:
        own = f"{{name: x, steps: [{{ask: uncertain, share: {first}}}, {{ask: clusters, share: {second}}}]}}"
        return only(load(MINIMAL.replace("uncertain+cluster", own))).experiment_id

    assert experiment_id(*shares.split()) == experiment_id("0.1", "0.9")


def test_own_steps_equal_to_a_papers_scenario_have_its_digest(load: Load) -> None:
    own = "{name: halves, steps: [{ask: uncertain, share: 0.5}, {ask: clusters, share: 1/2}]}"
    experiment = only(load(MINIMAL.replace("uncertain+cluster", own)))

    assert digest(experiment) == digest(only(load(MINIMAL)))
    assert experiment.experiment_id.startswith("digits-halves-s0-")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", ".1e-2", "0.001", "+1e-3"])
def test_numbers_may_have_an_exponent(load: Load, text: str) -> None:
    assert only(load(f"{MINIMAL}  training: {{learning_rate: {text}}}\n")).training.learning_rate == 0.001
    assert only(load(MINIMAL, f"training.learning_rate={text}")).training.learning_rate == 0.001


def test_windows_line_ends_and_a_byte_order_mark_are_read(load: Load) -> None:
    assert list(load("\ufeff" + MINIMAL.replace("\n", "\r\n")).experiments) == list(load(MINIMAL).experiments)


class TestOverrides:
    def test_key_of_the_experiment(self, load: Load) -> None:
        experiment = only(load(MINIMAL, "training.epochs=1", "seed=3", "model.weights=none"))

        assert (experiment.training.epochs, experiment.seed, experiment.model.weights) == (1, 3, "none")

    def test_key_of_the_experiment_by_its_full_path(self, load: Load) -> None:
        assert only(load(MINIMAL, "experiment.seed=3")).seed == 3

    def test_keys_of_the_top_level(self, load: Load) -> None:
        sweep = load(MINIMAL, "name=other", "resources.cpus_per_worker=2", "tracking.uri=http://localhost:5000")

        assert (sweep.name, sweep.resources.cpus_per_worker) == ("other", 2)
        assert sweep.tracking.uri == "http://localhost:5000"

    def test_option_of_a_component_that_the_file_names_barely(self, load: Load) -> None:
        experiment = only(load(f"{MINIMAL}  clustering: kmeans\n", "dataset.train_size=10", "clustering.iterations=3"))

        assert (experiment.dataset.name, experiment.dataset.options["train_size"]) == ("digits", 10)
        assert (experiment.clustering.name, experiment.clustering.options["iterations"]) == ("kmeans", 3)

    def test_option_of_a_component_that_the_file_leaves_out(self, load: Load) -> None:
        expert = only(load(MINIMAL, "expert.purity_threshold=0.5")).expert

        assert (expert.name, expert.options["purity_threshold"]) == ("oracle", 0.5)

    def test_whole_component(self, load: Load) -> None:
        experiment = only(load(MINIMAL, "dataset={name: digits, train_size: 20}"))

        assert experiment.dataset.options["train_size"] == 20

    def test_last_of_two_wins(self, load: Load) -> None:
        assert only(load(MINIMAL, "seed=1", "seed=2")).seed == 2

    def test_key_of_the_grid_is_pinned(self, load: Load) -> None:
        grid = "grid: {seed: [0, 1], training.epochs: [1, 2]}\n"
        sweep = load(MINIMAL + grid, "seed=5")

        assert [(c.seed, c.training.epochs) for c in sweep.experiments.values()] == [(5, 1), (5, 2)]

    def test_grid_itself(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{seed: [0, 1]}}\n", "grid.seed=[3]", "grid.training.epochs=[1, 2]")

        assert [(c.seed, c.training.epochs) for c in sweep.experiments.values()] == [(3, 1), (3, 2)]

    def test_grid_of_a_file_without_one(self, load: Load) -> None:
        assert [config.seed for config in load(MINIMAL, "grid.seed=[3, 4]").experiments.values()] == [3, 4]

    def test_option_of_a_component_that_the_grid_chooses_is_not_lost(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{dataset: [digits, cifar10]}}\n", "dataset.train_size=10")

        assert [config.dataset.options["train_size"] for config in sweep.experiments.values()] == [10, 10]

    def test_component_whose_option_the_grid_chooses_is_not_lost(self, load: Load) -> None:
        sweep = load(f"{MINIMAL}grid: {{training.epochs: [2, 3]}}\n", "training={epochs: 1}")

        assert [config.training.epochs for config in sweep.experiments.values()] == [1]

    def test_example_in_the_help_is_accepted(self, load: Load) -> None:
        from raycal.sweep.__main__ import EPILOG

        overrides = [quoted or bare for quoted, bare in re.findall(r"--set (?:'([^']+)'|(\S+))", EPILOG)]
        sweep = load(f"{MINIMAL}grid: {{seed: [0, 1, 2]}}\n", *overrides)

        assert overrides
        assert [config.seed for config in sweep.experiments.values()] == [0, 1]

    @pytest.mark.parametrize(
        ("override", "line"),
        [
            ("training.epoch=3", "--set training.epoch: unknown key (did you mean 'epochs'?)"),
            ("sead=3", "--set sead: unknown key (did you mean 'seed'?)"),
            (
                "resources.cpu_per_worker=3",
                "--set resources.cpu_per_worker: unknown key (did you mean 'cpus_per_worker'?)",
            ),
            ("training.epochs=0", "--set training.epochs: should be greater than or equal to 1, not 0"),
            ("training.epochs=", "--set training.epochs: the value is empty; it should be a valid integer"),
            (
                "training.epochs=[1",
                "--set training.epochs: not a YAML value: '[1'; quote text that begins with [ or {, as in '\"[a] b\"'",
            ),
            ("seed=*a", "--set seed: should be a valid integer, not '*a'"),
            ("expert=orakel", "--set expert: 'orakel': no such expert (did you mean 'oracle'?)"),
            ("dataset.train_sise=3", "--set dataset.train_sise: unknown key (did you mean 'train_size'?)"),
            (
                "training={epoch: 3}",
                "--set training: experiment.training.epoch: unknown key (did you mean 'epochs'?)",
            ),
            ("grid.seed=3", "--set grid.seed: should be a valid list, not 3"),
            ("grid.seed=[-1]", "--set grid.seed: grid.seed.0: should be greater than or equal to 0, not -1"),
            *(
                (override, f"--set {override}: should be KEY=VALUE, as in --set training.learning_rate=1e-3")
                for override in ("training.epochs", "=3", "training..epochs=3", ".seed=3", "seed.=3", "")
            ),
        ],
    )
    def test_mistake_is_said_with_the_override(
        self, problems: Callable[..., list[str]], override: str, line: str
    ) -> None:
        assert problems(MINIMAL, override) == [line]

    def test_mistake_in_a_grid_given_by_override_is_said_with_it(self, problems: Callable[..., list[str]]) -> None:
        (line,) = problems(MINIMAL, "grid.trainig.epochs=[1, 2]")

        assert line.startswith("--set grid.trainig.epochs: ")
        assert "did you mean 'training'?" in line

    def test_mistakes_of_several_overrides_are_said_at_once(self, problems: Callable[..., list[str]]) -> None:
        assert problems(MINIMAL, "seed", "sead=3", "iterations=0") == [
            "--set seed: should be KEY=VALUE, as in --set training.learning_rate=1e-3",
            "--set iterations: should be greater than or equal to 1, not 0",
            "--set sead: unknown key (did you mean 'seed'?)",
        ]


def test_all_problems_are_said_at_once_each_once_with_its_line(problems: Callable[..., list[str]]) -> None:
    text = """\
name: Not/A/Name
experiment:
  dataset: digitz
  scenario: uncertain+cluster
  iterations: many
  training:
    epochs: 3
    learning_rate: -1
  aquisition: entropy
grid:
  seed: [0, 1]
  expert.purity_threshold:
    - 0.5
    - 1.5
  ask_with: []
resources:
  cpu_per_worker: 3
treacking: {}
"""
    assert sorted(problems(text)) == sorted(
        [
            "sweep.yaml:1: name: should be 1 to 64 characters of a-z 0-9 . _ + - and begin with a letter or digit, "
            "not 'Not/A/Name'",
            "sweep.yaml:3: experiment.dataset: 'digitz': no such dataset (did you mean 'digits'?)",
            "sweep.yaml:5: experiment.iterations: should be a valid integer, not 'many'",
            "sweep.yaml:8: experiment.training.learning_rate: should be greater than 0, not -1",
            "sweep.yaml:9: experiment.aquisition: unknown key (did you mean 'acquisition'?)",
            "sweep.yaml:14: grid.expert.purity_threshold.1: should be less than or equal to 1, not 1.5",
            next(line for line in problems(text) if line.startswith("sweep.yaml:15: grid.ask_with: ")),
            "sweep.yaml:17: resources.cpu_per_worker: unknown key (did you mean 'cpus_per_worker'?)",
            "sweep.yaml:18: treacking: unknown key (did you mean 'tracking'?)",
        ]
    )
