"""scikit-learn's handwritten digits, a small dataset that needs no download."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.split import Fraction, Rows, Seed, WithSubset, random_split

NUM_IMAGES = 1_797
CLASS_NAMES = tuple("0123456789")
WHITE, SIZE = 16, 8


@datasets("digits")
@dataclass(kw_only=True)
class Digits(WithSubset):
    """1,797 images of 8 x 8 pixels in ten classes; the gray values 0 to 16 become 0 to 255 in all three channels.

    Args:
        test_fraction: The share of images in the test split; the default gives 1,437 images for training and 360 for
            testing.
        split_seed: The seed of the split, which is the same for every seed of an experiment.
    """

    test_fraction: Fraction = 0.2
    split_seed: Seed = 0

    def inspect(self) -> DatasetInfo:
        """The sizes of the splits."""
        rows = self._rows()
        return DatasetInfo(
            name="digits",
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(CLASS_NAMES),
            class_names=CLASS_NAMES,
        )

    def load(self, *, content: str | None = None) -> ImageDataset:
        """The images and the splits; `content` is ignored, because the content of the dataset is fixed."""
        values, classes = _values_and_classes()
        gray = np.rint(values.reshape(-1, SIZE, SIZE) * (255 / WHITE)).astype(np.uint8)
        rows = self._rows()
        return ImageDataset(
            images=np.repeat(gray[..., np.newaxis], 3, axis=-1),
            labels=classes.astype(np.int64),
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=CLASS_NAMES,
        )

    def _rows(self) -> Rows:
        rows = random_split(NUM_IMAGES, test_fraction=self.test_fraction, seed=self.split_seed, name="digits")
        return self.subset(rows, "digits")


def _values_and_classes() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The gray values (n, 64) and the classes (n,) of all images.

    They are read from scikit-learn's file, because importing scikit-learn takes most of a second.
    """
    spec = find_spec("sklearn")
    file = None if spec is None or spec.origin is None else Path(spec.origin).parent / "datasets/data/digits.csv.gz"
    if file is not None and file.exists():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data, bunch.target
