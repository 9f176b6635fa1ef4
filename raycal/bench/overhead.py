"""`overhead`: compares an experiment that writes ledger, state and results with the bare loop, which writes nothing."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from raycal.algorithm.loop import active_learning
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, own_cache
from raycal.bench.measure import interleaved, ratio
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.loop_settings import loop_settings
from raycal.experiment import build
from raycal.experiment.run import run_experiment
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter

MOST_OVERHEAD = 1.05
ONE_THREAD = WorkerSettings(threads=1)


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of `run_experiment` divided by the CPU seconds of the loop alone; both times include loading data and
    model."""
    size = options.size(600, 60)
    config = ExperimentConfig.model_validate(
        {
            "dataset": {"name": "digits", "train_size": size, "test_size": options.size(300, 30)},
            "model": {"weights": options.weights},
            "scenario": "uncertain+cluster",
            "iterations": 2,
            "interactions_per_iteration": size // 10,
            "training": {"epochs": options.size(4, 1), "batch_size": 16, "learning_rate": 0.005, "image_size": 32},
        },
        context=build.REGISTRIES,
    )

    def bare() -> None:
        images = build.dataset(config).load()
        components = build.components(config, images, build.learner(config, images, ONE_THREAD))
        for _ in active_learning(loop_settings(config), components, num_samples=images.num_train):
            pass

    with TemporaryDirectory() as folder, own_cache(Path(folder) / "cache"):
        runs = Folder.at(folder)
        starts = iter(range(10**6))

        def whole() -> None:
            if not run_experiment(config, RunWriter(runs.folder(f"run-{next(starts)}")), ONE_THREAD):
                raise RuntimeError("the experiment failed")

        bare()  # This run fills the cache with the images and the initial embeddings, which both arms then read.
        durations = interleaved({"raycal": whole, "bare": bare}, options.repeats)
    yield Figure(
        benchmark="overhead",
        name="CPU, experiment / bare loop",
        value=ratio(durations, "raycal", "bare"),
        goal=Goal("<=", MOST_OVERHEAD),
        arms=durations,
        setting={"count": size, "iterations": 2, "image_size": 32, "threads": 1, "arms": "CPU seconds"},
    )
