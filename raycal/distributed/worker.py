"""The Train worker: lives through all iterations of an experiment."""

import logging
import os
from typing import Any

import ray
import ray.train

from raycal.algorithm.records import IterationResult
from raycal.config import ExperimentConfig
from raycal.distributed.actors import RemoteClustering, hide_gpus
from raycal.experiment import run_experiment
from raycal.files import Folder
from raycal.store import RunDir


def run_worker(settings: dict[str, Any]) -> None:
    """Run an experiment to its end or its recorded failure, reporting every iteration to Tune.

    Args:
        settings: `experiment`, `folder`, `threads`, `working_directory`, `use_gpu`, and the handles `clustering` and
            `pool`.
    """
    # Relative paths are the user's, who stood elsewhere.
    if os.path.isdir(settings["working_directory"]):
        os.chdir(settings["working_directory"])
    _quiet_train()
    if not settings["use_gpu"]:
        hide_gpus()
    config = ExperimentConfig.model_validate(settings["experiment"])
    pool = settings["pool"]

    def to_pool(line: dict[str, Any], result: IterationResult) -> None:
        pool.commit.remote(result)  # not waited for: the pool is a copy, and the trial can do without it

    def to_tune(line: dict[str, Any], result: IterationResult) -> None:
        ray.train.report(line)

    run_experiment(
        config,
        RunDir(Folder.at(settings["folder"])),
        threads=settings["threads"],
        observers=(to_pool, to_tune),
        clustering=RemoteClustering(settings["clustering"], config.clustering.name, config.clustering.options),
    )


def _quiet_train() -> None:
    """Ray 2.60 logs its context at INFO in every worker whatever LoggingConfig says."""
    import ray.train.v2._internal.execution.context as context

    logging.getLogger(context.__file__).setLevel(logging.WARNING)
