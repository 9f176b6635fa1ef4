"""`iteration`: compares a whole iteration of active learning by raycal with one by the obvious script."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raycal.algorithm.loop import active_learning
from raycal.algorithm.pool import LABELED, NO_LABEL, UNLABELED
from raycal.algorithm.records import IterationResult, LoopState, PoolSnapshot
from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, config, images, learner, settings_of
from raycal.bench.measure import interleaved, ratio
from raycal.bench.training import weights_of
from raycal.config.loop_settings import loop_settings
from raycal.data import ImageDataset
from raycal.experiment import build

LEAST_GAIN = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The work of one iteration, the same for both arms.

    Attributes:
        num_pool: The number of images in the pool.
        num_test: The number of test images.
        labeled: The number of images of the pool that are labeled before the iteration.
        budget: The number N of interactions.
        image_size: The side, in pixels, of the images that the network sees.
        loader_workers: The number of DataLoader workers of the script.
        compile: Whether raycal compiles the network.
    """

    num_pool: int
    num_test: int
    labeled: int
    budget: int
    image_size: int
    batch_size: int = 64
    epochs: int = 1
    loader_workers: int = 0
    threads: int = 1
    compile: bool = False


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of the script's iteration, divided by the CPU seconds of raycal's iteration."""
    work = Work(
        num_pool=options.size(1000, 90),
        num_test=options.size(200, 30),
        labeled=options.size(100, 20),
        budget=options.size(150, 20),
        image_size=options.size(64, 32),
    )
    dataset = images(options, work.num_pool, work.num_test, work.image_size)
    ours, script = Ours(options, dataset, work), Script(options, dataset, work)
    durations = interleaved({"raycal": ours.iterate, "script": script.iterate}, options.repeats)
    yield Figure(
        benchmark="iteration",
        name="CPU, obvious script / raycal",
        value=ratio(durations, "script", "raycal"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting=setting_of(ours, script, work, "CPU seconds of an iteration"),
    )


def setting_of(ours: "Ours", script: "Script", work: Work, arms: str) -> dict[str, Any]:
    """The settings and results of both arms' last iterations, for a figure. `arms` names the unit in which the figure
    gives its arms."""
    return settings_of(
        ours.learner,
        image_size=work.image_size,
        batch=work.batch_size,
        count=work.num_pool,
        arms=arms,
        script=f"float32, contiguous, two passes, {work.loader_workers} loader workers",
        raycal_trained=int((ours.result.pool.status != UNLABELED).sum()),
        script_trained=script.outcome.num_trained,
        raycal_accuracy=ours.result.evaluation.accuracy,
        script_accuracy=script.outcome.accuracy,
    )


class Ours:
    """Runs the second iteration of an experiment with raycal, any number of times; `result` is the last result."""

    result: IterationResult

    def __init__(self, options: Options, dataset: ImageDataset, work: Work) -> None:
        settings: dict[str, Any] = {"image_size": work.image_size, "batch_size": work.batch_size, "epochs": work.epochs}
        self.learner = learner(options, dataset, threads=work.threads, compile=work.compile, **settings)
        self._config = config(options, **settings)
        self._dataset, self._work, self._begin = dataset, work, self.learner.save()

    def iterate(self) -> None:
        """Score the images, ask the expert, cluster, train and evaluate."""
        self.learner.load(self._begin)
        settings = replace(loop_settings(self._config), iterations=2, interactions_per_iteration=self._work.budget)
        status = np.full(self._dataset.num_train, UNLABELED, np.int8)
        labels = np.full(self._dataset.num_train, NO_LABEL, np.int32)
        status[: self._work.labeled] = LABELED
        labels[: self._work.labeled] = self._dataset.train_labels[: self._work.labeled]
        state = LoopState(
            iteration=0,
            interactions=self._work.labeled,
            human_seconds=0.0,
            pool=PoolSnapshot(status=status, labels=labels),
        )
        components = build.components(self._config, self._dataset, self.learner)
        self.result = next(active_learning(settings, components, num_samples=self._dataset.num_train, state=state))


class Script:
    """Runs the same iteration with the obvious script, any number of times; `outcome` is the last outcome."""

    outcome: obvious.Outcome

    def __init__(self, options: Options, dataset: ImageDataset, work: Work) -> None:
        self._work, self._num_classes = work, dataset.num_classes
        self._state = weights_of(learner(options, dataset, image_size=work.image_size))
        self._pool, self._test = (
            obvious.PilImages(dataset.images[rows], dataset.labels[rows], work.image_size)
            for rows in (dataset.train_rows, dataset.test_rows)
        )

    def iterate(self) -> None:
        """Score the images, ask the expert, cluster, train and evaluate."""
        import torch

        work = self._work
        device = "cuda" if torch.cuda.is_available() else "cpu"
        asking, fresh = (obvious.network(self._state, self._num_classes, device) for _ in range(2))
        self.outcome = obvious.iteration(
            asking,
            fresh,
            self._pool,
            self._test,
            {sample: int(self._pool.labels[sample]) for sample in range(work.labeled)},
            work.budget,
            obvious.Recipe(
                image_size=work.image_size,
                batch_size=work.batch_size,
                epochs=work.epochs,
                learning_rate=0.01,
                workers=work.loader_workers,
                device=device,
            ),
        )
