"""Datasets that derive from `WithSubset` can be made smaller, in the package and in a plug-in."""

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from raycal.config import load_sweep
from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.data.split import WithSubset, consecutive
from raycal.errors import InputError
from raycal.experiment import build
from raycal.testing import check_dataset

SUBSET = ["train_size", "test_size", "subset_seed"]
NAME = "of_test_split"


class Noise(WithSubset):
    """A dataset without options of its own."""

    def inspect(self) -> DatasetInfo:
        train, test = self.subset(consecutive(20, 10), NAME)
        return DatasetInfo(num_train=len(train), num_test=len(test), num_classes=2)

    def load(self, *, content: str | None = None) -> ImageDataset:
        train, test = self.subset(consecutive(20, 10), NAME)
        images = np.random.default_rng(self.seed).integers(256, size=(30, 8, 8, 3), dtype=np.uint8)
        return ImageDataset(
            images=images, labels=np.arange(30) % 2, train_rows=train, test_rows=test, class_names=("a", "b")
        )


@dataclass(kw_only=True)
class Louder(Noise):
    volume: float
    channels: int = 3


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    if NAME in datasets:
        datasets.forget(NAME)


@pytest.mark.parametrize(("kind", "own"), [(Noise, []), (Louder, ["volume", "channels"])])
def test_subclass_has_its_own_options_and_then_those_of_the_subset(kind: type[WithSubset], own: list[str]) -> None:
    datasets(NAME)(kind)

    assert list(datasets.options(NAME)) == own + SUBSET
    check_dataset(NAME, **({"volume": 2.0} if own else {}))


def test_order_in_recorded_configurations_is_as_before() -> None:
    assert {name: list(datasets.options(name)) for name in ("cifar10", "digits", "eurosat")} == {
        "cifar10": ["root", "download", *SUBSET],
        "digits": ["test_fraction", "split_seed", *SUBSET],
        "eurosat": ["root", "download", "test_fraction", *SUBSET],
    }


def test_smaller_subset_is_in_the_larger_one_and_drawn_by_its_own_seed() -> None:
    large = Noise(seed=0, image_size=8, train_size=12, test_size=6).load()
    small = Noise(seed=1, image_size=8, train_size=5, test_size=3).load()
    other = Noise(seed=0, image_size=8, train_size=12, subset_seed=1).load()

    assert set(small.train_rows) < set(large.train_rows) < set(range(20))
    assert set(small.test_rows) < set(large.test_rows) < set(range(20, 30))
    assert set(other.train_rows) != set(large.train_rows)
    assert other.num_test == 10


def test_subset_larger_than_its_split_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Noise(seed=0, image_size=8, train_size=21, test_size=11).inspect()

    assert str(caught.value).splitlines() == [
        f"{NAME}: train_size: 21 is more than the 20 images there are; give at most 20",
        f"{NAME}: test_size: 11 is more than the 10 images there are; give at most 10",
    ]


def test_plugin_gets_the_options_even_where_its_annotations_are_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noise_of_test_split.py").write_text(
        textwrap.dedent(
            f"""
            from __future__ import annotations
            from dataclasses import dataclass
            from raycal.data import datasets
            from raycal.data.split import Count
            from test_split import Noise

            @datasets("{NAME}")
            @dataclass(kw_only=True)
            class Mine(Noise):
                period: Count = 4
            """
        )
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    import_module("noise_of_test_split")
    sweep = tmp_path / "sweep.yaml"
    dataset = f"{{name: {NAME}, test_size: 0, period: 0}}"
    sweep.write_text(f"name: s\nexperiment:\n  dataset: {dataset}\n  scenario: random\n")
    with pytest.raises(InputError) as caught:
        load_sweep(str(sweep), build.REGISTRIES)

    assert list(datasets.options(NAME)) == ["period", *SUBSET]
    assert [line.partition("experiment.")[2].partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "dataset.period",
        "dataset.test_size",
    ]
