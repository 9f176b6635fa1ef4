"""`accuracy`: the fast number format beside plain float32, in what comes out."""

from collections.abc import Iterator
from statistics import mean, stdev

import numpy as np

from raycal.algorithm.acquisition import most_informative
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.records import TrainingSet
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of

SEEDS = (0, 1, 2)
LEAST_NOISE = 0.01
LEAST_SHARE = 0.9


def run(options: Options) -> Iterator[Figure]:
    """Difference of accuracies over the noise between seeds, and the share of the top N that both formats choose."""
    count, num_test, size = options.size(1000, 40), options.size(1000, 40), options.size(64, 32)
    dataset = images(options, 2 * count, num_test)
    training_set = TrainingSet(indices=np.arange(count), labels=dataset.train_labels[:count])
    rest = np.arange(count, 2 * count)
    found: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    shared = []
    models = {dtype: learner(options, dataset, image_size=size, dtype=dtype, epochs=2) for dtype in found}
    for seed in SEEDS:
        for dtype, model in models.items():
            model.reset(np.random.default_rng(seed))
            model.fit(training_set, np.random.default_rng([seed, 1]))
            found[dtype].append(model.evaluate().accuracy)
        trained = models["float32"].save()
        chosen = []
        for model in models.values():
            model.load(trained)
            predictions = model.predict(rest)
            top = most_informative(predictions.indices, entropies(predictions.probs), count // 10)
            chosen.append(set(top.tolist()))
        shared.append(len(chosen[0] & chosen[1]) / len(chosen[0]))
    setting = settings_of(models["bfloat16"], image_size=size, count=count, epochs=2, accuracies=found)
    noise = max(LEAST_NOISE, stdev(found["float32"]))
    yield Figure(
        benchmark="accuracy",
        name="|difference| / noise between seeds",
        value=abs(mean(found["bfloat16"]) - mean(found["float32"])) / noise,
        goal=Goal("<=", 1.0),
        arms=found,
        setting=setting,
    )
    yield Figure(
        benchmark="accuracy",
        name="share of the top N by entropy in both",
        value=mean(shared),
        unit="",
        goal=Goal(">=", LEAST_SHARE),
        arms={"seeds": shared},
        setting=setting,
    )
