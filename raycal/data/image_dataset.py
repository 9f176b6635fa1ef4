"""What a dataset is to the rest of raycal, and the registry of the datasets a YAML may name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Labels
from raycal.data.content import Digests
from raycal.data.split import Rows
from raycal.registry import Registry

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
    """

    images: Images
    labels: Labels
    train_rows: Indices
    test_rows: Indices
    class_names: tuple[str, ...]
    source: SourceFiles | None = None

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
    """

    num_train: int
    num_test: int
    num_classes: int
    download: str = ""
    download_to: str = ""

    @classmethod
    def of(cls, rows: Rows, num_classes: int) -> "DatasetInfo":
        """The sizes of a split."""
        return cls(num_train=len(rows.train), num_test=len(rows.test), num_classes=num_classes)


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
