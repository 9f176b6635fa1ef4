"""What benchmarks work on: images, features, and a learner for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raycal import build
from raycal.algorithm.records import Floats
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import ImageDataset, datasets
from raycal.errors import InputError

if TYPE_CHECKING:
    from raycal.learner.learner import NetworkLearner

CACHE = "RAYCAL_CACHE"
SOURCE_SIZE, NUM_CLASSES, WIDTH = 32, 10, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Of the command line.

    Attributes:
        quick: Sizes at which a benchmark ends in seconds and its figures mean nothing.
        data: A folder of images by class; None: made-up images.
        weights: Of the network: `none`, `imagenet` or a file.
        features: A file of features (U, 512) for the clusterings; None: made-up ones.
        clustering: Of whole iterations.
    """

    quick: bool = False
    repeats: int = 3
    data: str | None = None
    weights: str = "none"
    features: str | None = None
    clustering: str = "kmeans"

    def size(self, full: int, quick: int) -> int:
        """A size, or a small one."""
        return quick if self.quick else full


def images(options: Options, num_pool: int, num_test: int = 64, image_size: int = 64) -> ImageDataset:
    """That many images, of `--data` or made up.

    Raises:
        InputError: The folder has fewer, or cannot be used.
    """
    if options.data is None:
        return made_up_images(num_pool, num_test)
    found = datasets["image_folder"](root=options.data, seed=0, image_size=image_size).load()
    if found.num_train < num_pool or found.num_test < num_test:
        raise InputError(f"--data {options.data}: should have {num_pool} training and {num_test} test images")
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=found.images,
        labels=found.labels,
        train_rows=np.sort(rng.choice(found.train_rows, num_pool, replace=False)),
        test_rows=np.sort(rng.choice(found.test_rows, num_test, replace=False)),
        class_names=found.class_names,
    )


def made_up_images(num_pool: int, num_test: int) -> ImageDataset:
    """Random images of 32 x 32 pixels, each class with a coarse pattern of colours of its own."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(num_pool + num_test) % NUM_CLASSES)
    pattern = rng.integers(40, 216, (NUM_CLASSES, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2).astype(np.int16)
    noise = rng.integers(-40, 40, (len(labels), SOURCE_SIZE, SOURCE_SIZE, 3), dtype=np.int16)
    return ImageDataset(
        images=(pattern[labels] + noise).astype(np.uint8),
        labels=labels.astype(np.int64),
        train_rows=np.arange(num_pool),
        test_rows=np.arange(num_pool, len(labels)),
        class_names=tuple(map(str, range(NUM_CLASSES))),
    )


def features(options: Options, num_points: int) -> Floats:
    """That many features (U, 512), of `--features` or made up: groups in a space of falling variance, none negative.

    Raises:
        InputError: The file has fewer, or is none of numpy's.
    """
    if options.features is None:
        rng = np.random.default_rng(0)
        scale = (1 + np.arange(WIDTH, dtype=np.float32)) ** -0.7
        centers = rng.standard_normal((200, WIDTH), np.float32) * scale
        points = centers[rng.integers(200, size=num_points)]
        points += rng.standard_normal((num_points, WIDTH), np.float32) * scale
        made: Floats = np.maximum(points + 0.1, 0)
        return made
    try:
        found = np.load(options.features, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"--features {options.features}: not an array saved by numpy ({error})") from error
    if found.ndim != 2 or len(found) < num_points:
        raise InputError(f"--features {options.features}: should have {num_points} rows of features")
    return np.array(found[:num_points], np.float32)


def config(options: Options, **settings: Any) -> ExperimentConfig:
    """The configuration of a whole iteration; `settings` are those of the training."""
    training = {"epochs": 1, "batch_size": 64, "learning_rate": 0.01, "image_size": 64} | settings
    return ExperimentConfig.model_validate(
        {
            "dataset": "image_folder",
            "model": {"weights": options.weights},
            "scenario": "uncertain+cluster",
            "clustering": options.clustering,
            "training": training,
        }
    )


def learner(
    options: Options, dataset: ImageDataset, *, threads: int = 1, compile: bool = False, **settings: Any
) -> "NetworkLearner":
    """raycal's learner; its predictions are never those kept from before any training."""
    worker = WorkerSettings(threads=threads, compile=compile)
    made = build.learner(config(options, **settings), dataset, worker)
    made.load(made.save())
    return made


def settings_of(model: "NetworkLearner", **further: Any) -> dict[str, Any]:
    """Device, dtype, layout and threads, for the record of a figure."""
    return {**model.placement.describe(), "layout": "channels_last", **further}


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Decoded images, features and compiled networks are kept in this folder meanwhile."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before
