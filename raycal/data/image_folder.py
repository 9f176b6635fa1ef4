"""A user's own images, in folders named by class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from raycal.data.decode import OnError
from raycal.data.given_split import missing_classes
from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.image_files import ImageTree, images_root
from raycal.data.layout import read_layout
from raycal.data.listing import Listing, load_listed_images
from raycal.data.split import Fraction, Rows, WithSubset, consecutive

TEST_FRACTION = 0.2


@datasets("image_folder")
@dataclass(kw_only=True)
class ImageFolder(WithSubset):
    """Images in `root/train/<class>/` and `root/test/<class>/`, or in `root/<class>/` and split at random.

    Images of a class may lie in nested folders. Files and folders whose names begin with a dot are ignored; all other
    files that are not used are counted in the notes of `inspect`. `raycal.data.layout` describes which names of splits
    are known and what is skipped, `raycal.data.decode` and `raycal.data.one_image` which size and mode the images get.

    Args:
        root: The folder.
        test_fraction: The share of images in the test split, which is drawn with the experiment's seed; not used if
            there are folders `train` and `test`.
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
            warnings=missing_classes(listing.labels, listing.class_names, rows, "image"),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits."""
        listing = list_images(self._root)
        return load_listed_images(
            listing,
            self._rows(listing),
            self._root,
            size=self.size,
            image_size=self.image_size,
            content=content,
            on_error=self.on_error,
        )

    def _rows(self, listing: Listing) -> Rows:
        name = str(self._root)
        rows = listing.rows(test_fraction=self.test_fraction, seed=self.seed, name=name)
        return self.subset(rows, name)


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
