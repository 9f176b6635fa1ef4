from typing import Any

import pytest

from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo
from raycal.experiment import build
from raycal.sweep.doubts import doubts

INFO = DatasetInfo(num_train=800, num_test=200, num_classes=10, name="birds")


def config(scenario: str = "random", **given: Any) -> ExperimentConfig:
    settings = {
        "dataset": "digits",
        "scenario": scenario,
        "iterations": 4,
        "interactions_per_iteration": 100,
        "training": {"stop": "steps", "steps": 100, "batch_size": 25},
    } | given
    return ExperimentConfig.model_validate(settings, context=build.REGISTRIES)


def lines(*configs: ExperimentConfig, info: DatasetInfo = INFO) -> list[str]:
    experiments = {str(number): each for number, each in enumerate(configs)}
    return doubts(experiments, dict.fromkeys(experiments, info))


def test_usual_settings_are_not_doubtful() -> None:
    scenarios = ("random", "uncertain-only", "cluster-only", "uncertain+cluster", "supervised")
    assert lines(*map(config, scenarios), config(iterations=8)) == []


def test_one_class_leaves_nothing_to_learn() -> None:
    info = DatasetInfo(num_train=800, num_test=200, num_classes=1, name="birds")

    assert lines(config(), config("supervised"), info=info) == [
        "all images of birds are of one class, so every model is right about all of them"
    ]


@pytest.mark.parametrize(
    ("iterations", "each", "planned", "end"),
    [(9, 100, "900", 8), (4, 900, "3,600", 1), (4, 201, "804", 4), (1, 801, "801", 1)],
)
def test_more_interactions_than_images(iterations: int, each: int, planned: str, end: int) -> None:
    (line,) = lines(config(iterations=iterations, interactions_per_iteration=each))

    assert line == (
        f"{planned} interactions are planned (iterations: {iterations}, interactions_per_iteration: {each}), more than "
        "the 800 training images of birds: a strategy that labels single images ends after "
        f"iteration {end}, when all of them have a label"
    )


def test_full_supervision_spends_no_planned_interactions() -> None:
    assert lines(config("supervised", iterations=100)) == []


def test_each_doubt_is_a_single_line_for_all_trials() -> None:
    assert len(lines(*(config(scenario, iterations=9) for scenario in ("random", "uncertain-only", "random")))) == 1


def test_batch_larger_than_the_labels_of_the_first_iteration() -> None:
    training = {"stop": "steps", "steps": 100, "batch_size": 101}
    assert lines(config(training=training), config("cluster-only", training=training)) == [
        "training.batch_size is 101, more than the 100 labels of the first iteration: each pass over them is a single "
        "optimizer step"
    ]


@pytest.mark.parametrize(
    ("training", "line"),
    [
        (
            {"epochs": 5, "batch_size": 25},
            "a training on the labels of the first iteration takes only 20 optimizer steps (5 epochs of 4 batches), "
            "too few to learn much: raise training.epochs",
        ),
        (
            {"epochs": 1, "batch_size": 100},
            "a training on the labels of the first iteration takes only 1 optimizer step (1 epoch of 1 batch), too few "
            "to learn much: raise training.epochs",
        ),
        (
            {"stop": "steps", "steps": 29, "batch_size": 25},
            "a training takes only 29 optimizer steps, too few to learn much: raise training.steps",
        ),
        ({"stop": "steps", "steps": 30, "batch_size": 25}, None),
        ({"epochs": 8, "batch_size": 25}, None),
    ],
)
def test_few_optimizer_steps(training: dict[str, Any], line: str | None) -> None:
    assert lines(config(training=training)) == ([] if line is None else [line])


def test_few_fixed_steps_are_named_for_scenarios_with_clusters_too() -> None:
    few = {"stop": "steps", "steps": 29, "batch_size": 500}
    expected = ["a training takes only 29 optimizer steps, too few to learn much: raise training.steps"]
    assert lines(config("uncertain+cluster", training=few), config("cluster-only", training=few)) == expected
    assert lines(config("cluster-only", training={"epochs": 1, "batch_size": 500})) == []


def test_experiments_whose_dataset_is_unknown_are_not_judged() -> None:
    assert doubts({"a": config(iterations=100)}, {}) == []
