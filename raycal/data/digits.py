"""scikit-learn's handwritten digits, a small dataset that needs no download."""

import numpy as np

from raycal.data.image_dataset import DatasetInfo, ImageDataset, datasets
from raycal.data.split import Count, Fraction, Rows, Seed, random_split, subset

NUM_IMAGES = 1_797
CLASS_NAMES = tuple("0123456789")
WHITE = 16


@datasets("digits")
class Digits:
    """1,797 images of 8 x 8 pixels in ten classes; the gray values 0 to 16 become 0 to 255 in all three channels.

    Args:
        test_fraction: The share of images in the test split; the default gives 1,437 images for training and 360 for
            testing.
        split_seed: The seed of the split, which is the same for every seed of an experiment.
        train_size: The number of training images to draw at random; None: all of them.
        test_size: The number of test images to draw at random; None: all of them.
        subset_seed: The seed of these draws.
    """

    def __init__(
        self,
        *,
        seed: int,
        image_size: int,
        test_fraction: Fraction = 0.2,
        split_seed: Seed = 0,
        train_size: Count | None = None,
        test_size: Count | None = None,
        subset_seed: Seed = 0,
    ) -> None:
        del seed, image_size  # the split is fixed; the images keep their size
        self.test_fraction = test_fraction
        self.split_seed = split_seed
        self.train_size = train_size
        self.test_size = test_size
        self.subset_seed = subset_seed

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
        """The images and the splits; `content` is ignored, as the content of the dataset is fixed."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        gray = np.rint(bunch.images * (255 / WHITE)).astype(np.uint8)
        rows = self._rows()
        return ImageDataset(
            images=np.repeat(gray[..., np.newaxis], 3, axis=-1),
            labels=bunch.target.astype(np.int64),
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=CLASS_NAMES,
        )

    def _rows(self) -> Rows:
        rows = random_split(NUM_IMAGES, test_fraction=self.test_fraction, seed=self.split_seed, name="digits")
        return subset(rows, train_size=self.train_size, test_size=self.test_size, seed=self.subset_seed, name="digits")
