"""`scoring`: compares raycal's one pass over the pool with the two passes of the obvious script."""

from collections.abc import Iterator

import numpy as np

from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.measure import each, growth_exponent, interleaved, ratio
from raycal.bench.training import weights_of

LEAST_GAIN, LARGEST_EXPONENT = 3.0, 1.1


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of the script's passes divided by the CPU seconds of `predict`, and the growth of `predict` with the
    pool."""
    count, size = options.size(1024, 48), options.size(64, 32)
    dataset = images(options, count)
    model = learner(options, dataset, image_size=size)
    recipe = obvious.Recipe(image_size=size, batch_size=64, epochs=1, learning_rate=0.01)
    pool = obvious.PilImages(dataset.images[dataset.train_rows], dataset.train_labels, size)
    network = obvious.network(weights_of(model), dataset.num_classes, "cpu")

    def script() -> None:
        obvious.probabilities(network, pool, recipe)
        obvious.embeddings(network, pool, recipe)

    everything = np.arange(count)
    durations = interleaved({"raycal": lambda: model.predict(everything), "script": script}, options.repeats)
    setting = settings_of(model, image_size=size, count=count, arms="CPU seconds of a scoring")
    yield Figure(
        benchmark="scoring",
        name="CPU, obvious script / raycal",
        value=ratio(durations, "script", "raycal"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting=setting | {"script": "float32, contiguous, batch 64, two passes"},
    )
    sizes = [count // 4, count // 2, count]
    seconds = [each(lambda size=size: model.predict(everything[:size])) for size in sizes]  # type: ignore[misc]
    yield Figure(
        benchmark="scoring",
        name="growth exponent with the pool",
        value=growth_exponent(sizes, seconds),
        unit="",
        goal=Goal("<=", LARGEST_EXPONENT),
        arms={str(size): [duration] for size, duration in zip(sizes, seconds, strict=True)},
        setting=setting,
    )
