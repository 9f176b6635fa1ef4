"""What a dataset is to the rest of raycal, and the registry of the datasets a YAML may name."""

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

# So many classes are named with their sizes.
FEW_CLASSES = 10

Images = npt.NDArray[np.uint8]


class SourceFiles(NamedTuple):
    """The files that the images of a dataset came from.

    Attributes:
        names: Of S files, relative to the dataset's folder.
        digests: (S, 16) uint8, of what each file holds.
        content: One digest of all of these names and of what the files hold; `Dataset.load` takes it.
        listing: A digest of the names and classes of all files there are, those that no split uses included.
        num_listed: How many these are.
    """

    names: tuple[str, ...]
    digests: Digests
    content: str
    listing: str
    num_listed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDataset:
    """All images of an experiment and which of them are the pool and the test split. Nothing in it can be written to.

    Attributes:
        images: (S, H, W, 3) uint8, RGB; possibly memory-mapped.
        labels: (S,) int64, ids into `class_names`.
        train_rows: (P,) int64, ascending: pool sample i is `images[train_rows[i]]`.
        test_rows: (Q,) int64, ascending, none of them in `train_rows`.
        class_names: K names.
        source: The files that the images came from; None when they did not come from a file each.
        left_out: Files that could not be decoded and are in neither split, each with the reason.
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
        """P."""
        return len(self.train_rows)

    @property
    def num_test(self) -> int:
        """Q."""
        return len(self.test_rows)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset without decoding an image.

    Attributes:
        download: The URL that `load` fetches the data from; empty when they are on this machine.
        download_to: The folder that `load` fetches them into, where someone else may put them.
        name: What a person calls it.
        class_names: K names; none if only their number is known.
        class_sizes: K numbers of images, those included that a subset leaves out; none if they are not known.
        folder: The folder that a user keeps the images in; None if raycal keeps them.
        notes: What a user should know of how the images were found, a line each.
        warnings: What makes results on these splits doubtful, a line each.
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
        parts = [
            f"{self.num_classes:,} classes{self._classes()}",
            f"{self.num_train:,} train",
            f"{self.num_test:,} test",
        ]
        if self.class_sizes and (left := sum(self.class_sizes) - self.num_train - self.num_test):
            parts.append(f"{left:,} not used")
        return printable(f"{self.name}: {', '.join(parts)}")

    def _classes(self) -> str:
        """The names of the classes and how many images they have, in brackets; of many classes only some."""
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
    """Labelled images with a train and a test split."""

    def inspect(self) -> DatasetInfo:
        """The sizes that `load` will give, without decoding or downloading.

        Raises:
            InputError: The dataset cannot be used as it is.
        """

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images; downloaded and decoded when no earlier call on this machine has done so.

        Args:
            content: The digest `source.content` of an earlier load, on this machine or on another one. Files that are
                in the cache under it are not read again.

        Raises:
            InputError: An image, the download or the cache folder cannot be used, or the files hold something else
                than `content` says.
        """


datasets: Registry[Callable[..., Dataset]] = Registry("dataset", provided=("seed", "image_size"))
