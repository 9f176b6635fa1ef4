"""A user's own images, in folders named by class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Le

from raycal.algorithm.records import Indices, Labels
from raycal.data.content import listing_digest
from raycal.data.decode import DecodedFiles, OnError, decoded_images
from raycal.data.image_dataset import DatasetInfo, ImageDataset, SourceFiles, datasets
from raycal.data.image_files import NUM_NAMED, ImageTree, images_root
from raycal.data.layout import read_layout
from raycal.data.split import Fraction, Rows, WithSubset, consecutive, random_split
from raycal.errors import InputError, first_of

TEST_FRACTION = 0.2


class Listing(NamedTuple):
    """The images of a folder.

    Attributes:
        files: S paths relative to the folder.
        labels: (S,) int64, ids into `class_names`.
        class_names: K names.
        split: The folder's own split; None if it has no split.
        notes: What a user should know about how the folder was read, one line per note.
    """

    files: tuple[str, ...]
    labels: Labels
    class_names: tuple[str, ...]
    split: Rows | None
    notes: tuple[str, ...]

    @property
    def class_sizes(self) -> tuple[int, ...]:
        """How many images each class has, both splits together."""
        return tuple(np.bincount(self.labels, minlength=len(self.class_names)).tolist())


@datasets("image_folder")
@dataclass(kw_only=True)
class ImageFolder(WithSubset):
    """Images in `root/train/<class>/` and `root/test/<class>/`, or in `root/<class>/` and split at random.

    Images of a class may lie in nested folders. Files and folders whose names begin with a dot are ignored; all other
    files that are not used are counted in the notes of `inspect`. `raycal.data.layout` describes which names of splits
    are known and what is skipped, `raycal.data.decode` which size and mode the images get.

    Args:
        root: The folder.
        test_fraction: The share of images in the test split, which is drawn with the experiment's seed; not used if
            there are `train` and `test`.
        size: The side, in pixels, at which the images are stored. None means that `raycal.data.decode` chooses
            it.
        on_error: What happens to images that cannot be decoded: `refuse` the folder and name them, or `skip` them, so
            that they are in neither split.
    """

    root: str
    test_fraction: Fraction = TEST_FRACTION
    size: Annotated[int, Ge(1), Le(2048)] | None = None
    on_error: OnError = "refuse"

    def __post_init__(self) -> None:
        self._root = images_root(self.root)

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits, from the names of the files; broken images are still counted."""
        listing = list_images(self._root)
        rows, notes = self._rows(listing), listing.notes
        if listing.split is not None and self.test_fraction != TEST_FRACTION:
            notes = (*notes, "test_fraction is not used: the folder has its own train and test split")
        return DatasetInfo(
            name=self._root.name or str(self._root),
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(listing.class_names),
            class_names=listing.class_names,
            class_sizes=listing.class_sizes,
            folder=self._root,
            notes=notes,
            warnings=missing_classes(listing, rows),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits."""
        listing = list_images(self._root)
        rows = self._rows(listing)
        used = np.union1d(rows.train, rows.test)
        files = tuple(listing.files[row] for row in used)
        decoded = decoded_images(
            self._root,
            files,
            size=self.size,
            image_size=self.image_size,
            content=content,
            on_error=self.on_error,
        )
        train, test = (self._whole(np.searchsorted(used, part), decoded) for part in (rows.train, rows.test))
        return ImageDataset(
            images=decoded.images,
            source=source_files(listing, files, decoded),
            labels=listing.labels[used],
            train_rows=train,
            test_rows=test,
            class_names=listing.class_names,
            left_out=tuple(f"{files[row]} ({reason})" for row, reason in decoded.broken.items()),
        )

    def _whole(self, rows: Indices, decoded: DecodedFiles) -> Indices:
        """The rows of a split whose image could be decoded."""
        whole = rows[~np.isin(rows, list(decoded.broken))] if decoded.broken else rows
        if not len(whole):
            raise InputError(f"{self._root}: no image of a split can be decoded; replace the broken ones")
        return whole

    def _rows(self, listing: Listing) -> Rows:
        name, rows = str(self._root), listing.split
        if rows is None:
            rows = random_split(len(listing.files), test_fraction=self.test_fraction, seed=self.seed, name=name)
        return self.subset(rows, name)


def missing_classes(listing: Listing, rows: Rows) -> tuple[str, ...]:
    """A line for each split that has no image of some classes."""
    lines = []
    for split, part, so in (
        ("training", rows.train, "no model can learn them"),
        ("test", rows.test, "its accuracy says nothing about them"),
    ):
        sizes = np.bincount(listing.labels[part], minlength=len(listing.class_names))
        if missing := [listing.class_names[label] for label in np.flatnonzero(sizes == 0)]:
            named = first_of(missing, NUM_NAMED)
            num_classes = len(listing.class_names)
            lines.append(f"the {split} split has no image of {len(missing)} of {num_classes} classes ({named}): {so}")
    return tuple(lines)


def source_files(listing: Listing, files: tuple[str, ...], decoded: DecodedFiles) -> SourceFiles:
    """The facts that are known about the files of a listing that were decoded."""
    classes = [listing.class_names[label] for label in listing.labels]
    return SourceFiles(
        names=files,
        digests=decoded.digests,
        content=decoded.content,
        listing=listing_digest(listing.files, classes),
        num_listed=len(listing.files) - len(decoded.broken),
    )


def list_images(root: Path) -> Listing:
    """All images below a folder, and the folder's own split if it has one.

    Raises:
        InputError: The folder cannot be used as it is.
    """
    layout = read_layout(ImageTree(root))
    names = tuple(one.name for one in layout.train)
    classes = (*layout.train, *(layout.test or ()))
    num_train = sum(len(one.files) for one in layout.train)
    num_test = sum(len(one.files) for one in layout.test or ())
    return Listing(
        files=tuple(file for one in classes for file in one.files),
        labels=np.repeat([names.index(one.name) for one in classes], [len(one.files) for one in classes]),
        class_names=names,
        split=None if layout.test is None else consecutive(num_train, num_test),
        notes=layout.notes,
    )
