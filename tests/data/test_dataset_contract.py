"""Tests every registered dataset against the contract; a new dataset is tested as soon as it is registered."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from text_rows import write_texts

from raycal.data import datasets
from raycal.testing import check_dataset

# Options that make a dataset small and local.
OPTIONS: dict[str, Callable[[pytest.FixtureRequest], dict[str, Any]]] = {
    "cifar10": lambda request: {"root": str(request.getfixturevalue("cifar10_root")), "download": False},
    "embeddings": lambda request: {"file": str(request.getfixturevalue("vectors_file"))},
    "eurosat": lambda request: {"root": str(request.getfixturevalue("eurosat_root")), "download": False},
    "huggingface": lambda request: {"path": str(request.getfixturevalue("flat_root"))},
    "image_folder": lambda request: {"root": str(request.getfixturevalue("flat_root"))},
    "manifest": lambda request: {"file": str(request.getfixturevalue("manifest_of_flat_root"))},
    "images": lambda request: {"root": str(request.getfixturevalue("flat_root"))},
    "text": lambda request: {"file": str(write_texts(request.getfixturevalue("tmp_path") / "texts.csv"))},
}


@pytest.mark.parametrize("name", tuple(datasets))
def test_dataset_holds_to_its_contract(name: str, request: pytest.FixtureRequest) -> None:
    check_dataset(name, **(OPTIONS[name](request) if name in OPTIONS else {}))


# The rows of a dataset that people label stay the same when files are added, which a random subset would not allow.
FIXED = {"images"}


@pytest.mark.parametrize("name", sorted({*datasets} - FIXED))
def test_dataset_can_be_made_smaller(name: str) -> None:
    missing = {"train_size", "test_size", "subset_seed"} - set(datasets.options(name))

    assert not missing, f"dataset {name}: it should derive from raycal.data.split.WithSubset, to get {sorted(missing)}"


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, raycal.data; print({'torch', 'torchvision', 'sklearn', 'PIL', 'filelock'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"
