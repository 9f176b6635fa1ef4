"""A dataset of forty made-up images of three classes: thirty are in the pool, and ten in the test split."""

import numpy as np

from raycal.data import ImageDataset

IMAGES = ImageDataset(
    images=np.arange(40 * 4 * 4 * 3, dtype=np.int64).astype(np.uint8).reshape(40, 4, 4, 3),
    labels=np.arange(40) % 3,
    train_rows=np.arange(30),
    test_rows=np.arange(30, 40),
    class_names=("a", "b", "c"),
)
