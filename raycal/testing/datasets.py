"""The check of datasets."""

from typing import Any

import numpy as np

from raycal.data import Dataset, DatasetInfo, ImageDataset, LoadedDataset, TextDataset, VectorDataset, datasets
from raycal.data.loaded import UNLABELED
from raycal.testing.common import check_options, global_random_state_kept

ARRAYS = ("labels", "train_rows", "test_rows")


def check_dataset(name: str, /, **options: Any) -> None:
    """Check a dataset. `load` must return what `inspect` announces, as arrays of the right types, and equal arrays for
    equal seeds.

    A dataset without labels has no classes, and all its labels are -1.

    A dataset with the options `train_size`, `test_size` and `subset_seed` is also checked with them. The dataset should
    be small, or be made small by its options, because it is loaded several times.
    """
    check_options(datasets, name)
    for key in ("seed", "image_size"):
        assert key not in datasets.options(name), f"dataset {name}: {key} is filled in by raycal and no option"

    def make(**more: Any) -> Dataset:
        made: Dataset = datasets[name](seed=3, image_size=16, **options, **more)
        return made

    sizes: list[dict[str, int]] = [{}]
    if {"train_size", "test_size", "subset_seed"} - set(options) <= set(datasets.options(name)):
        sizes += [{"train_size": 6, "test_size": 3}, {"train_size": 6, "subset_seed": 4}, {"test_size": 3}]
    for more in sizes:
        case = f"dataset {name}{f' {more}' if more else ''}"
        dataset = make(**more)
        info, loaded = dataset.inspect(), dataset.load()
        _check_kind(getattr(datasets[name], "kind", "images"), info, loaded, case)
        _check_sizes(info, loaded, case)
        assert info.num_train == more.get("train_size", info.num_train), f"{case}: {info.num_train} training images"
        assert info.num_test == more.get("test_size", info.num_test), f"{case}: {info.num_test} test images"
        _check_arrays(loaded, case)
    with global_random_state_kept(f"dataset {name}"):
        first = make().load()
    again = make().load()
    _check_same_samples(first, again, f"dataset {name}: equal seeds give different {first.kind}")
    for array in ARRAYS:
        same = np.array_equal(getattr(first, array), getattr(again, array))
        assert same, f"dataset {name}: equal seeds give different {array}"
    if first.source is not None:
        known = make().load(content=first.source.content)
        _check_same_samples(first, known, f"dataset {name}: load(content=...) gives other {first.kind}")


def _check_kind(declared: str, info: DatasetInfo, loaded: LoadedDataset, case: str) -> None:
    said = f"the class has the kind {declared}, inspect() says {info.kind}, load() gives {loaded.kind}"
    assert declared == info.kind == loaded.kind, f"{case}: {said}"


def _check_same_samples(first: LoadedDataset, other: LoadedDataset, problem: str) -> None:
    rows = np.arange(len(first.labels))
    assert len(other.labels) == len(rows), problem
    assert first.digest_of_rows(rows) == other.digest_of_rows(rows), problem


def _check_sizes(info: DatasetInfo, loaded: LoadedDataset, case: str) -> None:
    said, loaded_sizes = (info.num_train, info.num_test), (loaded.num_train, loaded.num_test)
    kind = loaded.kind
    assert said == loaded_sizes, f"{case}: inspect() says {said} training and test {kind}, load() gives {loaded_sizes}"
    classes = len(set(loaded.class_names))
    assert loaded.num_classes == classes, f"{case}: two classes have one name"
    assert info.num_classes == classes, f"{case}: inspect() says {info.num_classes} classes, load() gives {classes}"


def _check_samples(loaded: LoadedDataset, case: str) -> int:
    """Check the samples themselves, and return their number."""
    if isinstance(loaded, ImageDataset):
        images = loaded.images
        assert images.dtype == np.uint8, f"{case}: images are {images.dtype}, should be uint8"
        assert images.ndim == 4, f"{case}: images have the shape {images.shape}, should be (S, H, W, 3)"
        assert images.shape[3] == 3, f"{case}: images have the shape {images.shape}, should be (S, H, W, 3)"
        assert images.max() > images.min(), f"{case}: all pixels are the same"
        assert not images.flags.writeable, f"{case}: images can be written to"
        return len(images)
    if isinstance(loaded, VectorDataset):
        vectors = loaded.vectors
        assert vectors.dtype == np.float32, f"{case}: vectors are {vectors.dtype}, should be float32"
        assert vectors.ndim == 2, f"{case}: vectors have the shape {vectors.shape}, should be (S, D)"
        assert vectors.shape[1], f"{case}: vectors have no values"
        assert np.isfinite(vectors).all(), f"{case}: vectors have values that are not finite"
        assert not vectors.flags.writeable, f"{case}: vectors can be written to"
        return len(vectors)
    assert isinstance(loaded, TextDataset), f"{case}: load() gives a {type(loaded).__name__}"
    assert any(loaded.texts[row].strip() for row in range(len(loaded.texts))), f"{case}: all texts are empty"
    return len(loaded.texts)


def _check_arrays(loaded: LoadedDataset, case: str) -> None:
    labels, count = loaded.labels, _check_samples(loaded, case)
    assert labels.dtype == np.int64, f"{case}: labels are {labels.dtype}, should be int64"
    assert labels.shape == (count,), f"{case}: labels have the shape {labels.shape}, {count} {loaded.kind}"
    if loaded.num_classes:
        assert 0 <= labels.min() <= labels.max() < loaded.num_classes, f"{case}: labels are not class ids"
    else:
        assert (labels == UNLABELED).all(), f"{case}: there are labels but no classes"
    for split in ("train_rows", "test_rows"):
        rows = getattr(loaded, split)
        assert rows.dtype == np.int64, f"{case}: {split} are {rows.dtype}, should be int64"
        assert (np.diff(rows) > 0).all(), f"{case}: {split} do not ascend"
        assert 0 <= rows[0] <= rows[-1] < count, f"{case}: {split} are no rows of the {loaded.kind}"
    both = set(loaded.train_rows.tolist()) & set(loaded.test_rows.tolist())
    assert not both, f"{case}: {'an image' if loaded.noun == 'image' else f'a {loaded.noun}'} is in both splits"
    for array in ARRAYS:
        assert not getattr(loaded, array).flags.writeable, f"{case}: {array} can be written to"
