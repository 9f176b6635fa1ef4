from typing import Any

import pytest

from raycal import build
from raycal.config import ExperimentConfig
from raycal.errors import InputError


def config(scenario: str = "cluster-only", **settings: Any) -> ExperimentConfig:
    given = {"dataset": {"name": "digits", "train_size": 300}, "scenario": scenario, "model": {"weights": None}}
    return ExperimentConfig.model_validate({**given, **settings}, context=build.REGISTRIES)


def test_sizes_of_the_pools_are_told_before_anything_starts() -> None:
    pair = {"name": "pair_noise", "partners": [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]}
    experiments = {"a": config(), "b": config(expert=pair), "c": config(dataset={"name": "digits", "train_size": 400})}

    assert build.prepare(experiments) == {"a": 300, "b": 300, "c": 400}


def test_expert_that_does_not_fit_the_dataset_is_refused_before_anything_starts() -> None:
    matrix = {"name": "confusion_noise", "matrix": [[0.9, 0.1], [0.2, 0.8]]}

    for expert in (matrix, {"name": "majority", "of": {"name": "few_images", "of": matrix}}):
        with pytest.raises(InputError, match="matrix: should be 10 rows of 10, one for each class, not 2 of 2"):
            build.prepare({"good": config(), "bad": config(expert=expert)})
