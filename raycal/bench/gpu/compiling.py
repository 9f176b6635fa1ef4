"""Measures how long it takes to compile a network in the first trial on a node and in later trials."""

from collections.abc import Iterator
from time import perf_counter

from raycal.bench.figure import Figure
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.material import Options, images, learner, settings_of
from raycal.learner.device import free_memory


def compiling(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The wall-clock seconds that it takes to make a learner that compiles its network."""
    if True not in sizes.compiled:
        return
    batch = sizes.batches[0]
    dataset = images(options, sizes.training_images, image_size=sizes.image_size)
    for name in ("first on a node", "later, from disk"):
        begin = perf_counter()
        model = learner(
            options, dataset, threads=sizes.work.threads, compile=True, image_size=sizes.image_size, batch_size=batch
        )
        seconds = perf_counter() - begin
        yield Figure(
            benchmark="gpu compiling",
            name=name,
            value=seconds,
            unit="s",
            arms={name: [seconds]},
            setting=settings_of(model, batch=batch, image_size=sizes.image_size, arms="wall seconds"),
        )
        del model
        free_memory()
