"""Measures the images per second of `predict`, eager and compiled."""

from collections.abc import Iterator
from statistics import median

import numpy as np

from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import in_turn
from raycal.bench.gpu.goals import on_this_gpu
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.material import Options, images, learner, settings_of

# Goal for one H200 at 224 px, in images per second.
LEAST_SCORING = 75_000


def scoring(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The rates at which `predict` computes embeddings and probabilities of all images."""
    count = sizes.scoring_images
    dataset, everything = images(options, count, image_size=sizes.image_size), np.arange(count)
    for compiled in sizes.compiled:
        model = learner(options, dataset, threads=sizes.work.threads, compile=compiled, image_size=sizes.image_size)
        durations = in_turn({"raycal": lambda model=model: model.predict(everything)}, options.repeats)  # type: ignore[misc]
        yield Figure(
            benchmark="gpu scoring",
            name="compiled" if compiled else "eager",
            value=count / median(durations["raycal"]),
            unit="img/s",
            goal=Goal(">=", on_this_gpu(LEAST_SCORING)),
            arms=durations,
            setting=settings_of(model, image_size=sizes.image_size, count=count, arms="seconds on the device"),
        )
