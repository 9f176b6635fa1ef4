"""The types by which the rest of raycal uses a dataset, and the registry of the datasets that a YAML may name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Labels
from raycal.data.content import Digests
from raycal.errors import printable
from raycal.registry import Registry

# Up to this many classes, a description of the dataset names all of them with their sizes.
FEW_CLASSES = 10
UNLABELED = -1  # the label of an image whose class is not known

Images = npt.NDArray[np.uint8]


class SourceFiles(NamedTuple):
    """The files that the images of a dataset came from.

    Attributes:
        names: The names of S files, relative to the dataset's folder.
        digests: (S, 16) uint8, the digest of each file's content.
        content: One digest of the names and the content of these files; `Dataset.load` takes it.
        listing: One digest of the names and classes of all image files in the folder, including files that no split
            uses.
        num_listed: The number of all these image files.
    """

    names: tuple[str, ...]
    digests: Digests
    content: str
    listing: str
    num_listed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDataset:
    """All images of an experiment, and which of them are the pool and the test split. All arrays are read-only.

    Attributes:
        images: (S, H, W, 3) uint8, RGB; may be memory-mapped.
        labels: (S,) int64, ids into `class_names`; -1 for all images of a dataset without labels.
        train_rows: (P,) int64, ascending: pool sample i is `images[train_rows[i]]`.
        test_rows: (Q,) int64, ascending, disjoint from `train_rows`.
        class_names: The names of the K classes; empty for a dataset without labels.
        source: The files that the images came from; None if the images did not come from one file each.
        left_out: The files that are in neither split because they could not be decoded or are duplicates, each with the
            reason.
    """

    images: Images
    labels: Labels
    train_rows: Indices
    test_rows: Indices
    class_names: tuple[str, ...]
    source: SourceFiles | None = None
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("images", "labels", "train_rows", "test_rows"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def train_labels(self) -> Labels:
        """True labels of the pool: (P,) int64."""
        return self.labels[self.train_rows]

    @property
    def test_labels(self) -> Labels:
        """True labels of the test split: (Q,) int64."""
        return self.labels[self.test_rows]

    @property
    def num_train(self) -> int:
        """The number P of samples in the pool."""
        return len(self.train_rows)

    @property
    def num_test(self) -> int:
        """The number Q of samples in the test split."""
        return len(self.test_rows)

    @property
    def num_classes(self) -> int:
        """The number K of classes."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The facts about a dataset that are known without decoding an image.

    Attributes:
        num_train: The number of training images.
        num_test: The number of test images.
        num_classes: The number of classes; 0 for a dataset without labels.
        download: The URL that `load` downloads the data from; empty if the data are on this machine.
        download_to: The folder that `load` downloads the data to; a user may put them there instead.
        name: The name of the dataset in messages to the user.
        class_names: The names of the K classes; empty if only their number is known.
        class_sizes: The number of images of each of the K classes, including images that a subset leaves out; empty if
            it is not known.
        folder: The user's folder of images; None if raycal keeps the images.
        notes: What the user should know about how the images were found, one line per note.
        warnings: The reasons why results on these splits are doubtful, one line per warning.
    """

    num_train: int
    num_test: int
    num_classes: int
    download: str = ""
    download_to: str = ""
    name: str = "images"
    class_names: tuple[str, ...] = ()
    class_sizes: tuple[int, ...] = ()
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A line such as `birds: 3 classes (crow 40, jay 38, tit 41), 95 train, 24 test`."""
        if not self.num_classes:
            return printable(
                f"{self.name}: no labels yet, {self.num_train:,} in the pool, {self.num_test:,} in the hold-out"
            )
        parts = [
            f"{self.num_classes:,} classes{self._classes()}",
            f"{self.num_train:,} train",
            f"{self.num_test:,} test",
        ]
        if self.class_sizes and (left := sum(self.class_sizes) - self.num_train - self.num_test):
            parts.append(f"{left:,} not used")
        return printable(f"{self.name}: {', '.join(parts)}")

    def _classes(self) -> str:
        """The names of the classes and their numbers of images, in brackets; if there are many classes, only some are
        named."""
        names = list(self.class_names)
        if not names:
            return ""
        if len(names) <= FEW_CLASSES and self.class_sizes:
            return f" ({', '.join(f'{name} {size:,}' for name, size in zip(names, self.class_sizes, strict=True))})"
        if len(names) > FEW_CLASSES:
            names = [*names[: FEW_CLASSES // 2], "...", names[-1]]
        listed = ", ".join(names)
        if not self.class_sizes:
            return f" ({listed})"
        least, most = min(self.class_sizes), max(self.class_sizes)
        return f" ({listed}; {least:,} images each)" if least == most else f" ({listed}; {least:,} to {most:,} images)"


class Dataset(Protocol):
    """Images with a train and a test split, which have true labels unless there are no classes."""

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits that `load` will return, without decoding or downloading.

        Raises:
            InputError: The dataset cannot be used with these options.
        """

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images, which are downloaded and decoded unless an earlier call on this machine has done so.

        Args:
            content: The digest `source.content` of an earlier load, on this machine or on another one. If the cache has
                images under this digest, their files are not read again.

        Raises:
            InputError: An image, the download or the cache folder cannot be used, or the content of the files differs
                from `content`.
        """


datasets: Registry[Callable[..., Dataset]] = Registry("dataset", provided=("seed", "image_size"))
