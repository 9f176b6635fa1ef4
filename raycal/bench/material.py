"""The inputs of the benchmarks: images, embeddings, and a learner for them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raycal.algorithm.records import Floats
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import ImageDataset, datasets
from raycal.errors import InputError
from raycal.experiment import build

if TYPE_CHECKING:
    from raycal.learner.learner import NetworkLearner

CACHE = "RAYCAL_CACHE"
SOURCE_SIZE, NUM_CLASSES, WIDTH = 32, 10, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the command line.

    Attributes:
        quick: Whether sizes are so small that a benchmark ends in seconds and its figures mean nothing.
        repeats: The number of repeats of every arm.
        data: A folder of images by class. None means made-up images.
        weights: The weights of the network: `none`, `imagenet` or a file.
        embeddings: A file of embeddings (U, 512) for the clusterings. None means made-up embeddings.
        clustering: The name of the clustering in whole iterations.
        sizes: The sizes of the pool in the benchmark `scale`. None means its own sizes.
    """

    quick: bool = False
    repeats: int = 3
    data: str | None = None
    weights: str = "none"
    embeddings: str | None = None
    clustering: str = "kmeans"
    sizes: tuple[int, ...] | None = None

    def size(self, full: int, quick: int) -> int:
        """The full size, or the small size if the benchmark is quick."""
        return quick if self.quick else full


def images(options: Options, num_pool: int, num_test: int = 64, image_size: int = 64) -> ImageDataset:
    """A dataset with these numbers of images, read from the folder of `--data`, or generated.

    Raises:
        InputError: The folder of `--data` has too few images, or cannot be used.
    """
    if options.data is None:
        return made_up_images(num_pool, num_test)
    dataset = datasets["image_folder"](root=options.data, seed=0, image_size=image_size).load()
    assert isinstance(dataset, ImageDataset)  # the dataset `image_folder` always loads images
    if dataset.num_train < num_pool or dataset.num_test < num_test:
        raise InputError(f"--data {options.data}: should have {num_pool} training and {num_test} test images")
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=dataset.images,
        labels=dataset.labels,
        train_rows=np.sort(rng.choice(dataset.train_rows, num_pool, replace=False)),
        test_rows=np.sort(rng.choice(dataset.test_rows, num_test, replace=False)),
        class_names=dataset.class_names,
    )


def made_up_images(num_pool: int, num_test: int) -> ImageDataset:
    """Random images of 32 x 32 pixels; each class has its own coarse color pattern."""
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


def embeddings(options: Options, num_points: int) -> Floats:
    """Embeddings (num_points, 512), read from the file of `--features`, or generated.

    Generated embeddings are clustered and not negative, and their variance falls from the first dimension to the last.

    Raises:
        InputError: The file has fewer than `num_points` rows, or is not an array saved by numpy.
    """
    if options.embeddings is None:
        rng = np.random.default_rng(0)
        scale = (1 + np.arange(WIDTH, dtype=np.float32)) ** -0.7
        centers = rng.standard_normal((200, WIDTH), np.float32) * scale
        points = centers[rng.integers(200, size=num_points)]
        points += rng.standard_normal((num_points, WIDTH), np.float32) * scale
        made: Floats = np.maximum(points + 0.1, 0)
        return made
    try:
        array = np.load(options.embeddings, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"--features {options.embeddings}: not an array saved by numpy ({error})") from error
    if array.ndim != 2 or len(array) < num_points:
        raise InputError(f"--features {options.embeddings}: should have {num_points} rows of features")
    return np.array(array[:num_points], np.float32)


def config(options: Options, network: str = "resnet18", **settings: Any) -> ExperimentConfig:
    """The configuration of a whole iteration; `settings` are the settings of the training."""
    training = {"epochs": 1, "batch_size": 64, "learning_rate": 0.01, "image_size": 64} | settings
    return ExperimentConfig.model_validate(
        {
            "dataset": "image_folder",
            "model": {"name": network, "weights": options.weights if network == "resnet18" else "none"},
            "scenario": "uncertain+cluster",
            "clustering": options.clustering,
            "training": training,
        }
    )


def learner(
    options: Options,
    dataset: ImageDataset,
    *,
    network: str = "resnet18",
    threads: int = 1,
    compile: bool = False,
    **settings: Any,
) -> "NetworkLearner":
    """raycal's learner, in a state in which it computes all embeddings and never reads any from the disk."""
    worker = WorkerSettings(threads=threads, compile=compile)
    made = build.learner(config(options, network, **settings), dataset, worker)
    made.load(made.save())
    return made


def settings_of(model: "NetworkLearner", **further: Any) -> dict[str, Any]:
    """The device, dtype, layout and threads of a learner, for the record of a figure."""
    return {**model.device_settings.describe(), "layout": "channels_last", **further}


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Use this folder as raycal's cache (decoded images, embeddings, compiled networks) during the block."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before
