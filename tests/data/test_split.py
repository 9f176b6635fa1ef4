"""Tests that a dataset that derives from `WithSubset` can be made smaller, in the package and in a plug-in."""

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from raycal.algorithm.records import Labels
from raycal.config import load_sweep
from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.data.split import Rows, WithSubset, consecutive, random_split, refuse_torn_groups
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


def grouped(sizes: list[int], *, test_fraction: float = 0.2, seed: int = 0) -> tuple[Rows, Labels]:
    """A split of groups of these sizes, whose rows are mixed."""
    groups = np.random.default_rng(7).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return random_split(len(groups), test_fraction=test_fraction, seed=seed, name=NAME, groups=groups), groups


def test_split_without_groups_has_the_same_rows_as_ever() -> None:
    rows = random_split(20, test_fraction=0.2, seed=3, name=NAME)

    assert rows.test.tolist() == [5, 10, 11, 15]
    assert sorted([*rows.train, *rows.test]) == list(range(20))


def test_groups_of_one_row_are_drawn_like_rows() -> None:
    names = np.array([f"patient {row * 7 % 20}" for row in range(20)])

    rows = random_split(20, test_fraction=0.2, seed=3, name=NAME, groups=names)

    assert rows.test.tolist() == random_split(20, test_fraction=0.2, seed=3, name=NAME).test.tolist()


@pytest.mark.parametrize(
    ("sizes", "test_fraction", "num_test"),
    [
        ([10] * 10, 0.2, 20),
        ([10] * 10, 0.25, 30),  # 20 and 30 are equally near to 25
        ([10] * 10, 0.24, 20),
        ([97, 1, 1, 1], 0.2, 3),
        ([50, 50], 0.2, 50),
        ([50, 50], 0.9, 50),
        ([1000, 3], 0.4, 3),
        ([7, 11, 13, 17, 52], 0.3, 30),  # 13 + 17
        ([1] * 5000 + [300] * 50, 0.1, 2000),
        ([999] * 1000, 0.5, 499_500),
    ],
)
def test_groups_stay_whole_and_the_size_is_the_nearest_one(
    sizes: list[int], test_fraction: float, num_test: int
) -> None:
    for seed in range(3):
        rows, groups = grouped(sizes, test_fraction=test_fraction, seed=seed)

        assert len(rows.test) == num_test
        assert not set(groups[rows.train]) & set(groups[rows.test])
        assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(sum(sizes)))
        assert all((np.diff(part) > 0).all() for part in rows)


def test_seeds_draw_other_groups_and_one_seed_always_the_same() -> None:
    drawn = [frozenset(groups[rows.test]) for rows, groups in (grouped([5] * 40, seed=seed) for seed in range(6))]

    assert len(set(drawn)) == 6
    assert frozenset(grouped([5] * 40, seed=2)[1][grouped([5] * 40, seed=2)[0].test]) == drawn[2]


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(InputError, match=f"^{NAME}: all 4 rows are in one group \\(anna\\), which cannot be split"):
        random_split(4, test_fraction=0.5, seed=0, name=NAME, groups=np.array(["anna"] * 4))


def test_group_in_both_splits_that_were_given_is_refused() -> None:
    groups = np.array(["a", "b", "a", "c", "b"])

    refuse_torn_groups(Rows(np.array([0, 2]), np.array([1, 3])), groups, NAME)
    with pytest.raises(InputError, match=f"^{NAME}: 2 groups are in the training and in the test split: a, b; put"):
        refuse_torn_groups(Rows(np.array([0, 1]), np.array([2, 3, 4])), groups, NAME)
