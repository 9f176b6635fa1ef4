"""A list of labeled image files, and the functions that make a dataset from it. The datasets of image folders and of
tables share this module.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data.content import listing_digest
from raycal.data.decode import DecodedFiles, OnError, decoded_images
from raycal.data.image_dataset import ImageDataset, SourceFiles
from raycal.data.places import ListedFiles, Place
from raycal.data.split import Rows, random_split
from raycal.errors import InputError


class Listing(NamedTuple):
    """Labeled images, as they are listed before any of them is decoded.

    Attributes:
        files: The names of S files, relative to the place where they are.
        labels: (S,) int64, ids into `class_names`.
        class_names: K names.
        split: The split that the images came with; None if they came without a split.
        notes: What a user should know about how the images were found, one line per note.
        groups: (S,) int64, a number for each group that no split may tear apart. None if there are no groups.
        weights: (S,) float32 above 0, the weight of each image's loss. None means equal weights.
    """

    files: tuple[str, ...]
    labels: Labels
    class_names: tuple[str, ...]
    split: Rows | None
    notes: tuple[str, ...]
    groups: Indices | None = None
    weights: Floats | None = None

    @property
    def class_sizes(self) -> tuple[int, ...]:
        """The number of images of each class in both splits together."""
        return tuple(np.bincount(self.labels, minlength=len(self.class_names)).tolist())

    def rows(self, *, test_fraction: float, seed: int, name: str) -> Rows:
        """The split that the images came with or, if they came without a split, a random split.

        Args:
            test_fraction: The share of images in the test split that is drawn.
            seed: The seed of the draw.
            name: The name of the dataset, for messages.

        Raises:
            InputError: A split would be empty.
        """
        if self.split is not None:
            return self.split
        return random_split(len(self.files), test_fraction=test_fraction, seed=seed, name=name, groups=self.groups)


def load_listed_images(
    listing: Listing,
    rows: Rows,
    place: Place,
    *,
    size: int | None,
    image_size: int,
    content: str | None,
    on_error: OnError,
) -> ImageDataset:
    """The images of both splits, decoded.

    Args:
        listing: The images.
        rows: The splits, as rows of the listing.
        place: Where the files are.
        size: See `decoded_images`, which also describes the other arguments.

    Raises:
        InputError: Images cannot be decoded, or no image of a split is left.
    """
    used = np.union1d(rows.train, rows.test)
    files = tuple(listing.files[row] for row in used)
    decoded = decoded_images(place, files, size=size, image_size=image_size, content=content, on_error=on_error)
    train, test = (_whole(np.searchsorted(used, part), decoded, place) for part in rows)
    return ImageDataset(
        images=decoded.images,
        source=source_files(listing, files, decoded, place),
        labels=listing.labels[used],
        train_rows=train,
        test_rows=test,
        class_names=listing.class_names,
        left_out=tuple(f"{files[row]} ({reason})" for row, reason in decoded.broken.items()),
        weights=None if listing.weights is None else listing.weights[used],
    )


def _whole(rows: Indices, decoded: DecodedFiles, place: Place) -> Indices:
    """The rows of a split whose image could be decoded."""
    whole = rows[~np.isin(rows, list(decoded.broken))] if decoded.broken else rows
    if not len(whole):
        raise InputError(f"{place}: one split has no image that can be decoded; replace the broken ones")
    return whole


def source_files(listing: Listing, files: tuple[str, ...], decoded: DecodedFiles, place: Place) -> SourceFiles:
    """The facts that are known about the files of a listing that were decoded."""
    classes = [listing.class_names[label] for label in listing.labels]
    return SourceFiles(
        names=files,
        digests=decoded.digests,
        content=decoded.content,
        listing=listing_digest(listing.files, classes),
        num_listed=len(listing.files) - len(decoded.broken),
        place=place if isinstance(place, Path | ListedFiles) else None,
    )
