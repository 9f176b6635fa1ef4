"""Labeled images that the library `datasets` of Hugging Face reads: from its hub, from a folder, or from Parquet files.

The images are decoded from their bytes by `raycal.data.decode`, as the images of all other datasets, and not by the
library. Code that comes with a dataset is never run.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge, Le, MinLen

from raycal.algorithm.records import Indices, Labels
from raycal.data.cache import absolute
from raycal.data.decode import OnError
from raycal.data.given_split import missing_classes
from raycal.data.image_dataset import UNLABELED, DatasetInfo, ImageDataset, datasets
from raycal.data.layout import Split, split_of
from raycal.data.listing import Listing, load_listed_images
from raycal.data.places import ImagesInTable
from raycal.data.split import Fraction, Rows, WithSubset, consecutive, refuse_torn_groups
from raycal.errors import InputError, first_of, one_line

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features

TEST_FRACTION = 0.2
HUB = "https://huggingface.co/datasets/"
NUM_NAMED = 10
Column = Annotated[str, MinLen(1)]


class _Part(NamedTuple):
    """One split of the dataset, as far as raycal uses it.

    Attributes:
        name: The name of the split.
        cells: The column of the images, not decoded.
        labels: (n,) int64, ids into the names of the classes; -1 for an image without a label.
        groups: The group of each image; None if there are no groups.
    """

    name: str
    cells: "pa.ChunkedArray"
    labels: Labels
    groups: "np.ndarray[Any, Any] | None"


class _Loaded(NamedTuple):
    """What the library has read.

    Attributes:
        parts: The splits by name.
        class_names: The names of the K classes.
        place: Where the images are.
        notes: What a user should know about how the images were found.
    """

    parts: Mapping[str, _Part]
    class_names: tuple[str, ...]
    place: ImagesInTable
    notes: tuple[str, ...]


@datasets("huggingface")
@dataclass(kw_only=True)
class HuggingFace(WithSubset):
    """A dataset of the library `datasets`, which `pip install 'raycal[huggingface]'` installs.

    The test split of the experiment is the dataset's test split or, if there is none, its validation split. If the
    dataset has neither, or the images of these splits have no labels, the test split is drawn with the experiment's
    seed. Images without a label are left out and counted.

    With `HF_HUB_OFFLINE=1`, the hub is not asked, and only what is in the cache of the library is found.

    Args:
        path: The name of a dataset on the hub, such as `uoft-cs/cifar10`; a folder that `save_to_disk` wrote; a folder
            of images or of Parquet files; or a Parquet file.
        config: The configuration, for a dataset on the hub that has several configurations.
        revision: The branch, tag or commit on the hub. A commit names one content for ever.
        image: The column of the images. None means the only column with images.
        label: The column of the labels. None means the only column with classes or, if there is none, the column
            `label`.
        group: The column of the groups, such as patients or videos. All images of a group are put into the same split.
        train: The split that is the pool. None means the split `train` or, if the dataset has only one split, this
            split.
        test: The split that is the test split. None means that it is chosen or drawn as described above.
        test_fraction: The share of images in the test split, if it is drawn.
        size: The side, in pixels, at which the images are stored. None means that `raycal.data.decode` chooses it.
        on_error: What happens to images that cannot be decoded: `refuse` the dataset and name them, or `skip` them, so
            that they are in neither split.
    """

    path: Column
    config: str | None = None
    revision: str | None = None
    image: Column | None = None
    label: Column | None = None
    group: Column | None = None
    train: Column | None = None
    test: Column | None = None
    test_fraction: Fraction = TEST_FRACTION
    size: Annotated[int, Ge(1), Le(2048)] | None = None
    on_error: OnError = "refuse"

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits. The library reads the tables for this, but decodes no image.

        A dataset that is not in the cache of the library is described from the hub's information about it.
        """
        with _library():
            if not self._is_local() and not self._is_cached():
                return self._announced()
        listing, _ = self._listing()
        rows, notes = self._rows(listing), listing.notes
        if listing.split is not None and self.test_fraction != TEST_FRACTION:
            notes = (*notes, "test_fraction is not used: the dataset has a test split")
        return DatasetInfo(
            name=self.path,
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(listing.class_names),
            class_names=listing.class_names,
            class_sizes=listing.class_sizes,
            notes=notes,
            warnings=missing_classes(listing.labels, listing.class_names, rows, "image"),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits."""
        listing, place = self._listing()
        return load_listed_images(
            listing,
            self._rows(listing),
            place,
            size=self.size,
            image_size=self.image_size,
            content=content,
            on_error=self.on_error,
        )

    def _rows(self, listing: Listing) -> Rows:
        rows = listing.rows(test_fraction=self.test_fraction, seed=self.seed, name=self.path)
        return self.subset(rows, self.path)

    def _listing(self) -> tuple[Listing, ImagesInTable]:
        """The labeled images of both splits, and where they are."""
        place = str(absolute(self.path)) if self._is_local() else self.path
        loaded = _read(
            place,
            _newest(place) if self._is_local() else 0,
            self.config,
            self.revision,
            self.image,
            self.label,
            self.group,
        )
        train, test, notes = _chosen(self.path, loaded.parts, self.train, self.test)
        parts = [train] if test is None else [train, test]
        known = [np.flatnonzero(part.labels != UNLABELED) for part in parts]
        if num_unlabeled := sum(len(part.labels) for part in parts) - sum(map(len, known)):
            images = (
                "1 image without a label is" if num_unlabeled == 1 else f"{num_unlabeled:,} images without a label are"
            )
            notes.append(f"{images} left out")
        if not all(map(len, known)):
            raise InputError(f"{self.path}: no image has a label, which a simulated expert needs")
        split = None if test is None else consecutive(len(known[0]), len(known[1]))
        names = tuple(f"{part.name}/{row}" for part, rows in zip(parts, known, strict=True) for row in rows.tolist())
        groups: Indices | None = None
        if self.group is not None:
            of_rows = np.concatenate(
                [part.groups[rows] for part, rows in zip(parts, known, strict=True) if part.groups is not None]
            )
            if split is not None:
                refuse_torn_groups(split, of_rows, self.path)
            groups = np.unique(of_rows, return_inverse=True)[1]
        listing = Listing(
            files=names,
            labels=np.concatenate([part.labels[rows] for part, rows in zip(parts, known, strict=True)]),
            class_names=loaded.class_names,
            split=split,
            notes=(*loaded.notes, *notes),
            groups=groups,
        )
        return listing, loaded.place

    def _is_local(self) -> bool:
        """Whether the path is on this machine. A name such as `mnist` means a folder if a folder has this name."""
        return self.path.startswith(("/", ".", "~")) or os.path.exists(self.path)

    def _is_cached(self) -> bool:
        """Whether the library can read the dataset without the hub."""
        try:
            with _offline():
                _load(self.path, self.config, self.revision)
        except Exception:  # the library has many errors for what it does not find
            return False
        return True

    def _announced(self) -> DatasetInfo:
        """The sizes that the hub announces for a dataset that is not downloaded yet.

        Raises:
            InputError: The hub does not answer, or does not know the sizes or the classes.
        """
        from datasets import load_dataset_builder

        try:
            info = load_dataset_builder(self.path, self.config, revision=self.revision).info
        except Exception as error:  # the library has many errors for what it does not find
            raise _refusal(self.path, error) from error
        if not info.splits or info.features is None:
            raise InputError(
                f"{self.path}: the hub does not say how many images it has; download it first, with"
                f" python -c \"import datasets; datasets.load_dataset('{self.path}')\""
            )
        _, label = _columns(self.path, info.features, self.image, self.label, self.group)
        names = tuple(getattr(info.features[label], "names", ()))
        sizes = {name: split.num_examples for name, split in info.splits.items()}
        train, test, notes = _named(self.path, sizes, self.train, self.test)
        num_train, num_test = sizes[train], 0 if test is None else sizes[test]
        if test is None:
            rows = Listing((*map(str, range(num_train)),), np.zeros(num_train, np.int64), ("",), None, ()).rows(
                test_fraction=self.test_fraction, seed=self.seed, name=self.path
            )
            num_train, num_test = map(len, rows)
        rows = self.subset(consecutive(num_train, num_test), self.path)
        return DatasetInfo(
            name=self.path,
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=max(2, len(names)),
            class_names=names,
            download=f"{HUB}{self.path}",
            download_to="the cache of the library datasets, or give a folder as path",
            notes=tuple(notes),
        )


@contextmanager
def _library() -> Iterator[None]:
    """Report in one line that the library is missing, and let it print no progress."""
    try:
        import datasets as library
    except ImportError as error:
        raise InputError(
            "dataset huggingface: needs the package datasets; install it with pip install 'raycal[huggingface]'"
        ) from error
    was_on = library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        yield
    finally:
        if not was_on:
            library.enable_progress_bars()


@contextmanager
def _offline() -> Iterator[None]:
    """Let the library look only into its cache."""
    import datasets.config
    import huggingface_hub.constants

    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before


def _load(path: str, config: str | None, revision: str | None) -> "dict[str, Dataset]":
    """The splits by name."""
    from datasets import Dataset, load_dataset, load_from_disk

    folder = Path(path)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded = load_from_disk(path)
    elif folder.is_file():
        loaded = load_dataset("parquet", data_files=path)
    else:
        loaded = load_dataset(path, config, revision=revision)
    return {"train": loaded} if isinstance(loaded, Dataset) else dict(loaded)


def _newest(path: str) -> int:
    """The newest time of change of a file, or of a folder and its entries, by which a change is noticed."""
    place = Path(path)
    try:
        return max([place.stat().st_mtime_ns, *(entry.stat().st_mtime_ns for entry in os.scandir(place))])
    except NotADirectoryError:
        return place.stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a folder, a Parquet file, or a name on the hub") from error


@lru_cache(maxsize=2)
def _read(
    path: str,
    changed: int,
    config: str | None,
    revision: str | None,
    image: str | None,
    label: str | None,
    group: str | None,
) -> _Loaded:
    """Read the tables of a dataset.

    Args:
        path: See `HuggingFace`, which also describes the other arguments.
        changed: A value that changes when a local dataset changes; it is only used as a key of the cache.

    Raises:
        InputError: The dataset cannot be read, or has no images with labels.
    """
    with _library():
        try:
            splits = _load(path, config, revision)
        except Exception as error:  # the library has many errors for what it does not find
            raise _refusal(path, error) from error
        first, notes = (
            next((split for name, split in splits.items() if split_of(name) is Split.TRAIN), None),
            list[str](),
        )
        first = first or next(iter(splits.values()))
        images, labels = _columns(path, first.features, image, label, group)
        notes += _without_other_columns(path, splits, images, labels, group)
        tables = {name: _table(path, split, images, labels, group) for name, split in splits.items()}
        names = _class_names(first.features[labels], [table.column(labels) for table in tables.values()], path, labels)
    ids = {name: position for position, name in enumerate(names)}
    is_named = hasattr(first.features[labels], "names")
    parts = {}
    for name, table in tables.items():
        values = table.column(labels).to_pylist()
        known = [
            (UNLABELED if value is None or value < 0 else value) if is_named else ids.get(str(value), UNLABELED)
            for value in values
        ]
        of_groups = None
        if group is not None:
            if table.column(group).null_count:
                row = table.column(group).to_pylist().index(None)
                raise InputError(f"{path}: {name}/{row}, column {group}: is empty")
            of_groups = np.array([str(value) for value in table.column(group).to_pylist()])
        parts[name] = _Part(name, table.column(images), np.array(known, np.int64), of_groups)
    key = (path, str(changed), *(str(split._fingerprint) for split in splits.values()), images)
    place = ImagesInTable(path, key, {name: part.cells for name, part in parts.items()})
    if image is None or label is None:
        notes.append(f"images from column {images}, labels from {labels}")
    return _Loaded(parts, names, place, tuple(notes))


def _without_other_columns(
    path: str, splits: "dict[str, Dataset]", image: str, label: str, group: str | None
) -> list[str]:
    """Remove the splits that lack a used column, such as a test split without labels, and return notes about them.

    Raises:
        InputError: The labels of two splits have different types or classes.
    """
    notes, kinds = [], dict[str, str]()
    for name, split in list(splits.items()):
        if lacking := [one for one in (image, label, group) if one is not None and one not in split.features]:
            notes.append(f"the split {name} has no column {' and no column '.join(lacking)}, and is not used")
            del splits[name]
        else:
            kinds.setdefault(repr(split.features[label]), name)
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        raise InputError(
            f"{path}: column {label}: is {one} in {first}, but {other} in {second}; give both the same type"
        )
    return notes


def _table(path: str, split: "Dataset", image: str, label: str, group: str | None) -> "pa.Table":
    """The used columns of a split, with encoded images.

    Raises:
        InputError: The column of the images has cells that are not images.
    """
    from datasets import Image

    columns = list(dict.fromkeys([image, label, *([] if group is None else [group])]))
    try:
        encoded = split.select_columns(columns).cast_column(image, Image(decode=False))
    except Exception as error:  # the library has many errors for columns that it cannot convert
        raise InputError(f"{path}: column {image}: has no images ({one_line(error)})") from error
    table: pa.Table = encoded.with_format("arrow")[:]
    return table


def _columns(
    path: str, features: "Features", image: str | None, label: str | None, group: str | None
) -> tuple[str, str]:
    """The columns of the images and of the labels.

    Raises:
        InputError: A column cannot be found, or several columns are possible; the error has a line for each problem.
    """
    from datasets import ClassLabel, Image

    listed = first_of([f"{name} ({_kind(feature)})" for name, feature in features.items()], NUM_NAMED)
    problems = [
        f"{path}: has no column {name} for the {role}; it has {listed}"
        for role, name in (("images", image), ("labels", label), ("groups", group))
        if name is not None and name not in features
    ]
    if problems:
        raise InputError(*problems)
    images = [name for name, feature in features.items() if isinstance(feature, Image)] if image is None else [image]
    labels = (
        [name for name, feature in features.items() if isinstance(feature, ClassLabel)] if label is None else [label]
    )
    if not labels and "label" in features:
        labels = ["label"]
    if not images:
        problems.append(
            f"{path}: has no column of images, but {listed}; for texts, save it as Parquet and use dataset:"
            " {name: text, ...}"
        )
    if not labels:
        problems.append(f"{path}: has no column of classes, but {listed}; give label: COLUMN")
    problems += [
        f"{path}: has {len(found)} columns of {role}: {', '.join(found)}; give {option}: COLUMN"
        for role, option, found in (("images", "image", images), ("classes", "label", labels))
        if len(found) > 1
    ]
    if problems:
        raise InputError(*problems)
    return images[0], labels[0]


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) if type(feature).__name__ == "Value" else type(feature).__name__)


def _class_names(feature: Any, columns: "list[pa.ChunkedArray]", path: str, column: str) -> tuple[str, ...]:
    """The names of the classes: those that the type of the column names or, for texts and whole numbers, the labels
    that occur.
    """
    from pyarrow import types

    if hasattr(feature, "names"):
        return tuple(feature.names)
    kind = columns[0].type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        raise InputError(f"{path}: column {column}: has the type {kind}; labels are classes, texts or whole numbers")
    values = {value for one in columns for value in one.unique().to_pylist() if value is not None}
    return tuple(map(str, sorted(values)))


def _named(
    path: str, sizes: Mapping[str, int], train: str | None, test: str | None
) -> tuple[str, str | None, list[str]]:
    """The names of the splits for the pool and for the test split. The second name is None if the test split has to be
    drawn.

    Args:
        path: The dataset, for messages.
        sizes: The number of images with a label in each split.
        train: The name that was given for the pool.
        test: The name that was given for the test split.

    Raises:
        InputError: A split is missing.
    """
    listed = ", ".join(sizes)
    problems = [
        f"{path}: has no split {name}; it has {listed}"
        for name in (train, test)
        if name is not None and name not in sizes
    ]
    if train is not None and train == test:
        problems.append(f"{path}: the split {train} cannot be the pool and the test split")
    if problems:
        raise InputError(*problems)
    notes = []
    if train is None:
        others = [name for name in sizes if name != test]
        trains = [name for name in others if split_of(name) is Split.TRAIN]
        if len(trains) != 1 and len(others) != 1:
            raise InputError(f"{path}: has the splits {listed}; give train: SPLIT and, if there is one, test: SPLIT")
        train = trains[0] if trains else others[0]
    if test is None:
        for kind in (Split.TEST, Split.VAL):
            named = [name for name in sizes if name != train and split_of(name) is kind]
            usable = [name for name in named if sizes[name]]
            notes += [f"the split {name} has no labels and is not used" for name in named if not sizes[name]]
            if usable and test is None:
                test = usable[0]
                if kind is Split.VAL:
                    notes.append(f"{test} is the test split, because there is no other with labels")
    if unused := [name for name in sizes if name not in (train, test) and sizes[name]]:
        notes.append(f"not used: {first_of(unused, NUM_NAMED)}")
    return train, test, notes


def _chosen(
    path: str, parts: Mapping[str, _Part], train: str | None, test: str | None
) -> tuple[_Part, _Part | None, list[str]]:
    sizes = {name: int((part.labels != UNLABELED).sum()) for name, part in parts.items()}
    pool, held_out, notes = _named(path, sizes, train, test)
    return parts[pool], None if held_out is None else parts[held_out], notes


def _refusal(path: str, error: Exception) -> InputError:
    """What to do about an error of the library, in one line."""
    text = one_line(error) or type(error).__name__
    kind = type(error).__name__
    if isinstance(error, ConnectionError) or "Offline" in kind or "Connect" in kind or "offline" in text.lower():
        here = "" if os.path.exists(path) else "there is no such folder, it "
        return InputError(
            f"{path}: {here}is not in the cache of this machine, and the hub cannot be reached ({text}); fetch it"
            f" elsewhere with `hf download --repo-type dataset {path} --local-dir DIR`, and give path: DIR"
        )
    if "scripts are no longer supported" in text:
        return InputError(f"{path}: needs code of its own, which raycal does not run; use a version in Parquet files")
    return InputError(f"{path}: cannot be read by the library datasets ({text})")
