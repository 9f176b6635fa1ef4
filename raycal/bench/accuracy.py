"""`accuracy`: compares the results in bfloat16 with the results in float32 and with the results of the obvious
script."""

from collections.abc import Iterator
from statistics import mean, stdev

import numpy as np
import torch

from raycal.algorithm.acquisition import most_informative
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.records import Floats, Indices, TrainingSet
from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.training import weights_of
from raycal.data import ImageDataset

SEEDS = (0, 1, 2)
EPOCHS = 2
LEAST_NOISE = 0.01
LEAST_SHARE, LEAST_SHARE_IN_FLOAT32 = 0.9, 0.99


def run(options: Options) -> Iterator[Figure]:
    """Differences of accuracies, divided by the noise between seeds, and the shares of the top N that two variants both
    choose."""
    count, num_test, size = options.size(1000, 40), options.size(1000, 40), options.size(64, 32)
    dataset = images(options, 2 * count, num_test)
    training_set = TrainingSet(indices=np.arange(count), labels=dataset.train_labels[:count])
    rest = np.arange(count, 2 * count)
    models = {
        dtype: learner(options, dataset, image_size=size, dtype=dtype, epochs=EPOCHS)
        for dtype in ("float32", "bfloat16")
    }
    accuracies: dict[str, list[float]] = {name: [] for name in (*models, "script")}
    of_formats, of_script = [], []
    for seed in SEEDS:
        for dtype, model in models.items():
            model.reset(np.random.default_rng(seed))
            begin = weights_of(model)
            model.fit(training_set, np.random.default_rng([seed, 1]))
            accuracies[dtype].append(model.evaluate().accuracy)
        accuracies["script"].append(_accuracy_of_script(begin, dataset, training_set, size, seed))
        trained = models["float32"].save()
        for model in models.values():
            model.load(trained)
        plain, fast = (_top(model.predict(rest).probs, count // 10) for model in models.values())
        of_formats.append(_shared(plain, fast))
        of_script.append(_shared_with_script(options, dataset, trained, rest, count // 10))
    setting = settings_of(models["bfloat16"], image_size=size, count=count, epochs=EPOCHS, accuracies=accuracies)
    noise = max(LEAST_NOISE, stdev(accuracies["float32"]))
    for name, other in (("bfloat16, float32", "float32"), ("bfloat16, obvious script", "script")):
        yield Figure(
            benchmark="accuracy",
            name=f"|difference| / noise between seeds: {name}",
            value=abs(mean(accuracies["bfloat16"]) - mean(accuracies[other])) / noise,
            goal=Goal("<=", 1.0),
            arms=accuracies,
            setting=setting,
        )
    for name, shares, least in (
        ("bfloat16, float32", of_formats, LEAST_SHARE),
        ("float32, obvious script", of_script, LEAST_SHARE_IN_FLOAT32),
    ):
        yield Figure(
            benchmark="accuracy",
            name=f"share of the top N by entropy in both: {name}",
            value=mean(shares),
            unit="",
            goal=Goal(">=", least),
            arms={"seeds": shares},
            setting=setting,
        )


def _accuracy_of_script(
    begin: dict[str, torch.Tensor], dataset: ImageDataset, training_set: TrainingSet, size: int, seed: int
) -> float:
    """The accuracy of the script in `obvious.py`, which trains from the same weights on the same samples, but in its
    own order.
    """
    recipe = obvious.Recipe(image_size=size, batch_size=64, epochs=EPOCHS, learning_rate=0.01)
    pool, test = (
        obvious.PilImages(dataset.images[rows], dataset.labels[rows], size)
        for rows in (dataset.train_rows, dataset.test_rows)
    )
    labeled = dict(zip(training_set.indices.tolist(), training_set.labels.tolist(), strict=True))
    model = obvious.network(begin, dataset.num_classes, "cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        obvious.train(model, obvious.Relabeled(pool, labeled), recipe)
    return obvious.accuracy(model, test, recipe)


def _shared_with_script(options: Options, dataset: ImageDataset, trained: bytes, rest: Indices, count: int) -> float:
    """The share of the top `count` samples that raycal and the obvious script both choose, with the same weights.

    The images keep their size, because PIL rounds the pixels of resized images.
    """
    size = dataset.images.shape[1]
    model = learner(options, dataset, image_size=size, dtype="float32")
    model.load(trained)
    rows = dataset.train_rows[rest]
    pool = obvious.PilImages(dataset.images[rows], dataset.labels[rows], size)
    recipe = obvious.Recipe(image_size=size, batch_size=64, epochs=1, learning_rate=0.01)
    script = obvious.network(weights_of(model), dataset.num_classes, "cpu")
    return _shared(_top(model.predict(rest).probs, count), _top(obvious.probabilities(script, pool, recipe), count))


def _top(probs: Floats, count: int) -> set[int]:
    return set(most_informative(np.arange(len(probs)), entropies(probs), count).tolist())


def _shared(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one)
