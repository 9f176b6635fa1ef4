"""Tests that every registered extension keeps the contract of its kind. A new extension is tested as soon as it is
registered."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from raycal import testing
from raycal.experiment import build
from raycal.networks import networks

CHECKS: dict[str, Callable[..., None]] = {
    "dataset": testing.check_dataset,
    "model": testing.check_network,
    "acquisition": testing.check_acquisition,
    "clustering": testing.check_clustering,
    "expert": testing.check_expert,
    "pseudo_labels": testing.check_pseudo_labels,
    "loss": testing.check_loss,
    "optimizer": testing.check_optimizer,
    "augmentation": testing.check_augmentation,
}
SLOW_GFLOP = 4.2
# No call returns the answers of people, so no check can call this expert. tests/algorithm/test_questions.py tests this
# expert instead.
NOT_CALLED = {("expert", "people")}


def any_matrix(num_classes: int) -> dict[str, Any]:
    return {"matrix": np.full((num_classes, num_classes), 1 / num_classes).tolist()}


# The required options of the extensions.
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {("expert", "confusion_noise"): {"options_for": any_matrix}}


def marks(kind: str, name: str) -> list[pytest.MarkDecorator]:
    is_slow = kind == "model" and networks.facts(name).cost(networks.facts(name).usual_size) > SLOW_GFLOP
    return [pytest.mark.slow] if is_slow else []


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=marks(kind, name), id=f"{kind}-{name}")
        for kind, registry in build.REGISTRIES.items()
        # The tests in tests/data check the datasets, because they have the files that the datasets read.
        if kind != "dataset"
        for name in registry
        if (kind, name) not in NOT_CALLED
    ],
)
def test_extension_holds_to_its_contract(kind: str, name: str) -> None:
    CHECKS[kind](name, **OPTIONS.get((kind, name), {}))


def test_every_kind_has_a_public_check() -> None:
    public = {name: check for name, check in inspect.getmembers(testing) if name in testing.__all__}

    assert set(CHECKS) == set(build.REGISTRIES)
    assert set(CHECKS.values()) <= set(public.values())
