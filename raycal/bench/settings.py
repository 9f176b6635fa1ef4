"""`settings`: compares the settings that raycal chooses automatically with the best of a small grid."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from time import perf_counter

import numpy as np
import torch

from raycal.algorithm.records import TrainingSet
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.measure import Clock, cpu_seconds, interleaved
from raycal.capacity.machine import this_machine

MOST_ABOVE_BEST = 1.05
DTYPES = ("float32", "bfloat16")


def run(options: Options) -> Iterator[Figure]:
    """Seconds with the automatic dtype, scoring batch and threads, divided by the smallest seconds in the grid."""
    count, size = options.size(384, 32), options.size(64, 32)
    dataset = images(options, count)
    everything = np.arange(count)
    labeled = TrainingSet(indices=everything, labels=dataset.train_labels)
    models = {dtype: learner(options, dataset, image_size=size, dtype=dtype) for dtype in (*DTYPES, "auto")}
    chosen = settings_of(models["auto"])
    automatic = models.pop("auto")

    def training(dtype: str) -> Callable[[], object]:
        return lambda: models[dtype].fit(labeled, np.random.default_rng(0))

    def scoring(dtype: str) -> Callable[[], object]:
        return lambda: models[dtype].predict(everything)

    for what, arm in (("training", training), ("scoring", scoring)):
        arms = {dtype: arm(dtype) for dtype in DTYPES}
        yield _beside_best(options, f"dtype, {what}", arms, str(chosen["dtype"]), chosen | {"count": count})

    # Only this grid needs another batch size of scoring, so the learner has no setting for it.
    automatic_batch = automatic.extractor.scoring_batch

    def batched(batch: int) -> Callable[[], object]:
        def arm() -> None:
            automatic.extractor.scoring_batch = batch
            automatic.predict(everything)

        return arm

    batches = {str(batch): batched(batch) for batch in sorted({automatic_batch, 32, 64, 128, count})}
    yield _beside_best(options, "scoring batch", batches, str(automatic_batch), chosen | {"count": count})
    automatic.extractor.scoring_batch = automatic_batch

    def threaded(threads: int) -> Callable[[], object]:
        def arm() -> None:
            torch.set_num_threads(threads)
            automatic.fit(labeled, np.random.default_rng(0))

        return arm

    cores = int(this_machine().cpus)
    threads = {str(number): threaded(number) for number in sorted({1, max(1, cores // 2), cores})}
    try:
        if len(threads) > 1:
            yield _beside_best(options, "threads, wall", threads, str(cores), chosen | {"count": count}, perf_counter)
    finally:
        torch.set_num_threads(1)


def _beside_best(
    options: Options,
    name: str,
    arms: Mapping[str, Callable[[], object]],
    chosen: str,
    setting: Mapping[str, object],
    clock: Clock = cpu_seconds,
) -> Figure:
    for arm in arms.values():
        arm()
    durations = interleaved(arms, options.repeats, clock)
    return Figure(
        benchmark="settings",
        name=f"{name}, {chosen} / best",
        value=above_best(durations, chosen),
        goal=Goal("<=", MOST_ABOVE_BEST),
        arms=durations,
        setting=setting,
    )


def above_best(durations: Mapping[str, Sequence[float]], chosen: str) -> float:
    """The median of the chosen arm divided by the smallest median of all arms."""
    return median(durations[chosen]) / min(map(median, durations.values()))
