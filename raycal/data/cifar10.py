"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32 x 32 pixels in ten classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raycal.data.cache import cached_arrays
from raycal.data.download import Archive, download, download_root
from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.split import Rows, WithSubset, consecutive
from raycal.errors import InputError

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

NUM_TRAIN, NUM_TEST = 50_000, 10_000
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-py"
ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


@datasets("cifar10")
@dataclass(kw_only=True)
class Cifar10(WithSubset):
    """CIFAR-10 as torchvision reads it, with its published split.

    Args:
        root: The folder that contains `cifar-10-batches-py` or its archive. None means raycal's download folder.
        download: Whether missing files are downloaded.
    """

    root: str | None = None
    download: bool = True

    def __post_init__(self) -> None:
        self._root = download_root(self.root)

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits, which are known before the download."""
        if not self.download and not (self._root / FOLDER).is_dir():
            raise InputError(
                f"cifar10: {self._root / FOLDER}: no such folder; set download: true, or root to the folder that holds"
                f" {FOLDER}"
            )
        rows, is_here = self._rows(), (self._root / FOLDER).is_dir()
        return DatasetInfo(
            name="cifar10",
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(CLASS_NAMES),
            class_names=CLASS_NAMES,
            download="" if is_here else ARCHIVE_URL,
            download_to="" if is_here else str(self._root),
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits; `content` is ignored, because the content of the dataset is fixed."""
        from torchvision.datasets import CIFAR10

        self.inspect()
        files = CIFAR10.train_list + CIFAR10.test_list
        arrays = cached_arrays({"dataset": "cifar10", "files": files}, self._decode)
        rows = self._rows()
        return ImageDataset(
            images=arrays["images"],
            labels=arrays["labels"],
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=CLASS_NAMES,
        )

    def _rows(self) -> Rows:
        return self.subset(consecutive(NUM_TRAIN, NUM_TEST), "cifar10")

    def _decode(self, folder: Path) -> None:
        train, test = self._read(train=True), self._read(train=False)
        np.save(folder / "images.npy", np.concatenate([train.data, test.data]))
        np.save(folder / "labels.npy", np.array([*train.targets, *test.targets], np.int64))

    def _read(self, *, train: bool) -> "CIFAR10":
        """Read one split from files with the right checksums; download the files if needed and allowed."""
        from torchvision.datasets import CIFAR10

        try:
            return CIFAR10(self._root, train=train)
        except (OSError, RuntimeError) as error:
            if not self.download:
                raise InputError(
                    f"cifar10: {self._root / FOLDER}: a file is missing or has a wrong checksum; set download: true, or"
                    f" unpack {ARCHIVE_URL} there"
                ) from error
        download(
            self._root,
            lambda: CIFAR10(self._root, train=train, download=True),
            name="cifar10",
            instead=f"put {ARCHIVE_URL} into that folder, or use dataset: {{name: image_folder, root: ...}}",
            archive=Archive(self._root / CIFAR10.filename, CIFAR10.tgz_md5),
        )
        return CIFAR10(self._root, train=train)
