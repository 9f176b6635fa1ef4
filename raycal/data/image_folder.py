"""A user's own images, in folders named by class."""

import logging
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.records import Labels
from raycal.data.cache import absolute
from raycal.data.content import listing_digest
from raycal.data.decode import DecodedFiles, decoded_images
from raycal.data.image_dataset import DatasetInfo, ImageDataset, SourceFiles, datasets
from raycal.data.image_files import ClassFolder, class_folders, has_images, subfolders
from raycal.data.split import Count, Fraction, Rows, Seed, consecutive, random_split, subset
from raycal.errors import InputError

logger = logging.getLogger(__name__)

TRAIN, TEST = "train", "test"
TEST_FRACTION = 0.2


class Listing(NamedTuple):
    """The images of a folder: S files relative to it, their labels (S,), the K class names, the folder's own split."""

    files: tuple[str, ...]
    labels: Labels
    class_names: tuple[str, ...]
    split: Rows | None


@datasets("image_folder")
class ImageFolder:
    """Images in `root/train/<class>/` and `root/test/<class>/`, or in `root/<class>/` and split at random.

    Images of a class may lie in nested folders. Files without an image suffix, and files and folders whose names begin
    with a dot, are ignored. What size and mode the images get is told in `raycal.data.decode`.

    Args:
        root: The folder.
        test_fraction: Share of the test split, drawn by the experiment's seed; not used with `train` and `test`.
        train_size: Take this many training images only, at random; only images taken are decoded.
        test_size: Take this many test images only, at random.
        subset_seed: Draws these; independent of the experiment's seed.
        size: Store the images with this many pixels a side.
    """

    def __init__(
        self,
        *,
        seed: int,
        image_size: int,
        root: str,
        test_fraction: Fraction = TEST_FRACTION,
        train_size: Count | None = None,
        test_size: Count | None = None,
        subset_seed: Seed = 0,
        size: Annotated[int, Ge(1), Le(2048)] | None = None,
    ) -> None:
        self.seed = seed
        self.image_size = image_size
        self.root = absolute(root)
        self.test_fraction = test_fraction
        self.train_size = train_size
        self.test_size = test_size
        self.subset_seed = subset_seed
        self.size = size

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits, from the names of the files."""
        listing = list_images(self.root)
        return DatasetInfo.of(self._rows(listing), len(listing.class_names))

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits."""
        listing = list_images(self.root)
        rows = self._rows(listing)
        used = np.union1d(rows.train, rows.test)
        files = tuple(listing.files[row] for row in used)
        decoded = decoded_images(self.root, files, size=self.size, image_size=self.image_size, content=content)
        return ImageDataset(
            images=decoded.images,
            source=source_files(listing, files, decoded),
            labels=listing.labels[used],
            train_rows=np.searchsorted(used, rows.train),
            test_rows=np.searchsorted(used, rows.test),
            class_names=listing.class_names,
        )

    def _rows(self, listing: Listing) -> Rows:
        name, rows = str(self.root), listing.split
        if rows is None:
            rows = random_split(len(listing.files), test_fraction=self.test_fraction, seed=self.seed, name=name)
        elif self.test_fraction != TEST_FRACTION:
            logger.warning("%s: test_fraction is not used: the folder has its own train and test split", name)
        return subset(rows, train_size=self.train_size, test_size=self.test_size, seed=self.subset_seed, name=name)


def source_files(listing: Listing, files: tuple[str, ...], decoded: DecodedFiles) -> SourceFiles:
    """What is known of the files of a listing that were decoded."""
    classes = [listing.class_names[label] for label in listing.labels]
    return SourceFiles(
        names=files,
        digests=decoded.digests,
        content=decoded.content,
        listing=listing_digest(listing.files, classes),
        num_listed=len(listing.files),
    )


def list_images(root: Path) -> Listing:
    """All images below a folder, and the split if it has its own.

    Raises:
        InputError: The folder cannot be used as it is.
    """
    folders = subfolders(root)
    if TRAIN in folders and TEST in folders:
        if ignored := [name for name in folders if name not in (TRAIN, TEST)]:
            logger.warning("%s: only train and test are used, not %s", root, ", ".join(ignored))
        return _list_split(root)
    _refuse_half_a_split(root, folders)
    classes = class_folders(root)
    return Listing(*_flatten(classes), _names(classes), split=None)


def _list_split(root: Path) -> Listing:
    train, test = class_folders(root / TRAIN), class_folders(root / TEST)
    names = _names(train)
    if unknown := [name for name in _names(test) if name not in names]:
        raise InputError(f"{root / TEST}: classes that {TRAIN} does not have: {', '.join(unknown)}; both need the same")
    train_files, train_labels = _flatten(train)
    test_files, test_labels = _flatten(test)
    return Listing(
        files=(*(f"{TRAIN}/{file}" for file in train_files), *(f"{TEST}/{file}" for file in test_files)),
        labels=np.concatenate([train_labels, np.searchsorted(names, _names(test))[test_labels]]),
        class_names=names,
        split=consecutive(len(train_files), len(test_files)),
    )


def _refuse_half_a_split(root: Path, folders: list[str]) -> None:
    """Without this, `root/train` and `root/val` would be two classes of one dataset."""
    for present, missing in ((TRAIN, TEST), (TEST, TRAIN)):
        if present in folders and subfolders(root / present) and not has_images(root / present):
            raise InputError(
                f"{root}: has {present}/ with class folders but no {missing}/; add it, or give {root / present} as root"
                " to have it split at random"
            )


def _flatten(classes: tuple[ClassFolder, ...]) -> tuple[tuple[str, ...], Labels]:
    """All files, class by class, and the position of each one's class."""
    files = tuple(file for folder in classes for file in folder.files)
    return files, np.repeat(np.arange(len(classes)), [len(folder.files) for folder in classes])


def _names(classes: tuple[ClassFolder, ...]) -> tuple[str, ...]:
    return tuple(folder.name for folder in classes)
