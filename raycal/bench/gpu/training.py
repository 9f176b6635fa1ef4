"""Measures the images per second of the learner and of the bare loop, eager and compiled."""

from collections.abc import Callable, Iterator
from statistics import median

import numpy as np

from raycal.algorithm.records import TrainingSet
from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import in_turn
from raycal.bench.gpu.goals import on_this_gpu
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.measure import ratio
from raycal.bench.training import MOST_OVERHEAD, BareLoop, weights_of
from raycal.config import TrainingConfig
from raycal.data import ImageDataset
from raycal.learner.device import free_memory

# Goal for one H200 at 224 px, in images per second.
LEAST_TRAINING = 20_000


def training(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The rates at each batch size, and then the highest rate of the learner at any batch size."""
    dataset = images(options, sizes.training_images, image_size=sizes.image_size)
    best = 0.0
    for batch in sizes.batches:
        for figure in _at(batch, options, sizes, dataset):
            if "raycal" in figure.arms and figure.unit == "img/s":
                best = max(best, figure.value)
            yield figure
        free_memory()
    yield Figure(
        benchmark="gpu training",
        name="raycal, best batch",
        value=best,
        unit="img/s",
        goal=Goal(">=", on_this_gpu(LEAST_TRAINING)),
        setting={"image_size": sizes.image_size, "count": sizes.training_images},
    )


def _at(batch: int, options: Options, sizes: Sizes, dataset: ImageDataset) -> Iterator[Figure]:
    recipe = TrainingConfig(image_size=sizes.image_size, batch_size=batch, epochs=1, learning_rate=0.01)
    labeled = TrainingSet(indices=np.arange(sizes.training_images), labels=dataset.train_labels)
    for compiled in sizes.compiled:
        model = learner(
            options,
            dataset,
            threads=sizes.work.threads,
            compile=compiled,
            image_size=sizes.image_size,
            batch_size=batch,
        )
        bare = BareLoop(weights_of(model), dataset, recipe, model.device_settings, compiled=compiled)
        arms: dict[str, Callable[[], object]] = {
            name: (lambda fit=fit: fit(labeled, np.random.default_rng(0)))  # type: ignore[misc]
            for name, fit in {"raycal": model.fit, "bare": bare.fit}.items()
        }
        durations = in_turn(arms, options.repeats)
        how = "compiled" if compiled else "eager"
        setting = settings_of(
            model, batch=batch, image_size=sizes.image_size, count=len(labeled.indices), arms="seconds of an epoch"
        )
        for name in arms:
            yield Figure(
                benchmark="gpu training",
                name=f"batch {batch}, {how}, {name}",
                value=len(labeled.indices) / median(durations[name]),
                unit="img/s",
                arms={name: durations[name]},
                setting=setting,
            )
        yield Figure(
            benchmark="gpu training",
            name=f"batch {batch}, {how}, raycal / bare loop",
            value=ratio(durations, "raycal", "bare"),
            goal=Goal("<=", MOST_OVERHEAD),
            arms=durations,
            setting=setting,
        )
