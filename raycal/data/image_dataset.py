"""The facts about a dataset that is not loaded yet, and the registry of the datasets that a YAML may name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from raycal.data.loaded import UNLABELED, ImageDataset, LoadedDataset, SourceFiles, TextDataset, VectorDataset
from raycal.errors import printable
from raycal.registry import Kind, Registry

__all__ = [
    "UNLABELED",
    "Dataset",
    "DatasetInfo",
    "ImageDataset",
    "LoadedDataset",
    "SourceFiles",
    "TextDataset",
    "VectorDataset",
    "datasets",
]

# Up to this many classes, a description of the dataset names all of them with their sizes.
FEW_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The facts about a dataset that are known without decoding an image.

    Attributes:
        num_train: The number of training samples.
        num_test: The number of test samples.
        num_classes: The number of classes; 0 for a dataset without labels.
        download: The URL that `load` downloads the data from; empty if the data are on this machine.
        download_to: The folder that `load` downloads the data to; a user may also put the data there.
        name: The name of the dataset in messages to the user.
        class_names: The names of the K classes; empty if only their number is known.
        class_sizes: The number of samples of each of the K classes, including samples that a subset leaves out; empty
            if it is not known.
        folder: The user's folder of images; None if raycal keeps the images.
        notes: What the user should know about how the samples were found, one line per note.
        warnings: The reasons why results on these splits are doubtful, one line per warning.
        kind: The kind of the samples, as a plural, for messages.
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
    kind: Kind = "images"

    @property
    def noun(self) -> str:
        """The word for one sample: `image`, `vector` or `text`."""
        return self.kind.removesuffix("s")

    def __str__(self) -> str:
        """A line such as `birds: 3 classes (crow 40, jay 38, tit 41), 95 train, 24 test`."""
        if not self.num_classes:
            return printable(
                f"{self.name}: comes without labels, {self.num_train:,} in the pool, {self.num_test:,} in the hold-out"
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
        """The names of the classes and their numbers of samples, in brackets; if there are many classes, only some are
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
        sizes = f"{least:,} {self.kind} each" if least == most else f"{least:,} to {most:,} {self.kind}"
        return f" ({listed}; {sizes})"


class Dataset(Protocol):
    """Samples with a train and a test split, which have true labels unless there are no classes.

    A registered class says with the class variable `kind` which kind of samples it loads. A class without this variable
    loads images.
    """

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits that `load` will return, without decoding or downloading.

        Raises:
            InputError: The dataset cannot be used with these options.
        """

    def load(self, *, content: str | None = None) -> LoadedDataset:
        """The samples, which are downloaded and decoded unless an earlier call on this machine has done so.

        Args:
            content: The digest `source.content` of an earlier load, on this machine or on another one. If the cache has
                samples under this digest, their files are not read again.

        Raises:
            InputError: A sample, the download or the cache folder cannot be used, or the content of the files differs
                from `content`.
        """


datasets: Registry[Callable[..., Dataset]] = Registry("dataset", provided=("seed", "image_size"))


def noun_of_dataset(name: str) -> str:
    """The word for one sample of a dataset, by the name of the dataset: `image`, `vector` or `text`. A dataset whose
    plug-in is not imported counts as one of images.
    """
    kind: Kind = getattr(datasets[name], "kind", "images") if name in datasets else "images"
    return kind.removesuffix("s")
