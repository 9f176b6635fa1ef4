"""What every registered dataset must hold to; a new one is tested here once it has a line in TINY."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from raycal.data import Dataset, datasets

# How to make each dataset small enough for a test: the options of its YAML.
TINY: dict[str, Callable[[pytest.FixtureRequest], dict[str, Any]]] = {
    "cifar10": lambda request: {"root": str(request.getfixturevalue("cifar10_root")), "download": False},
    "digits": lambda request: {},
    "eurosat": lambda request: {"root": str(request.getfixturevalue("eurosat_root")), "download": False},
    "image_folder": lambda request: {"root": str(request.getfixturevalue("flat_root"))},
}
SIZES: tuple[dict[str, int], ...] = (
    {},
    {"train_size": 6, "test_size": 3},
    {"train_size": 6, "subset_seed": 4},
    {"test_size": 3},
)


def make(name: str, request: pytest.FixtureRequest, *, seed: int = 3, **options: object) -> Dataset:
    return datasets[name](seed=seed, image_size=16, **TINY[name](request), **options)


def test_every_dataset_is_in_the_table() -> None:
    assert list(datasets) == sorted(TINY)


@pytest.mark.parametrize("name", tuple(datasets))
def test_options_can_be_read(name: str) -> None:
    options = datasets.options(name)

    assert {"train_size", "test_size", "subset_seed"} <= set(options)
    assert not {"seed", "image_size"} & set(options)
    assert all(option.annotation is not Any for option in options.values())


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", tuple(datasets))
def test_load_gives_what_inspect_says(name: str, sizes: dict[str, int], request: pytest.FixtureRequest) -> None:
    dataset = make(name, request, **sizes)
    info, loaded = dataset.inspect(), dataset.load()

    assert (loaded.num_train, loaded.num_test) == (info.num_train, info.num_test)
    assert loaded.num_classes == info.num_classes == len(set(loaded.class_names))
    assert info.num_train == sizes.get("train_size", info.num_train)
    assert info.num_test == sizes.get("test_size", info.num_test)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", tuple(datasets))
def test_arrays_are_as_promised(name: str, sizes: dict[str, int], request: pytest.FixtureRequest) -> None:
    loaded = make(name, request, **sizes).load()
    num_images, _, _, channels = loaded.images.shape

    assert loaded.images.dtype == np.uint8
    assert channels == 3
    assert loaded.images.max() > loaded.images.min()
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.shape == (num_images,)
    assert loaded.labels.min() >= 0
    assert loaded.labels.max() < loaded.num_classes
    for rows in (loaded.train_rows, loaded.test_rows):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
        assert 0 <= rows[0] <= rows[-1] < num_images
    assert not set(loaded.train_rows) & set(loaded.test_rows)
    assert np.array_equal(loaded.train_labels, loaded.labels[loaded.train_rows])
    assert np.array_equal(loaded.test_labels, loaded.labels[loaded.test_rows])


@pytest.mark.parametrize("array", ["images", "labels", "train_rows", "test_rows"])
@pytest.mark.parametrize("name", tuple(datasets))
def test_nothing_can_be_written_to(name: str, array: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(make(name, request).load(), array)[0] = 0


@pytest.mark.parametrize("name", tuple(datasets))
def test_same_seed_gives_the_same_dataset(name: str, request: pytest.FixtureRequest) -> None:
    first, again = (make(name, request, train_size=6).load() for _ in range(2))

    for array in ("images", "labels", "train_rows", "test_rows"):
        assert np.array_equal(getattr(first, array), getattr(again, array))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, raycal.data; print({'torch', 'torchvision', 'sklearn', 'PIL', 'filelock'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"
