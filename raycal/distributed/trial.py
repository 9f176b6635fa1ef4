"""One Tune trial: a driver that starts one `TorchTrainer` for the whole experiment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.train import ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig
from ray.tune.integration.ray_train import TuneReportCallback

from raycal.config import ExperimentConfig
from raycal.distributed.actors import start_pool
from raycal.distributed.resources import Allotment
from raycal.distributed.worker import run_worker
from raycal.files import Folder
from raycal.store import RunDir

WORKER_RETRIES = 3


class TrialFailedError(Exception):
    """The experiment's failure is in its run folder; this tells Tune of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all trials of a sweep share.

    Attributes:
        folder: Of the sweep, as `Folder.at` takes it.
        working_directory: What relative paths in the experiments are relative to.
        num_samples: Pool size by experiment id.
    """

    folder: str
    working_directory: str
    experiments: Mapping[str, ExperimentConfig]
    num_samples: Mapping[str, int]
    allotment: Allotment


def run_trial(settings: Mapping[str, Any], shared: Shared, clustering: Any) -> None:
    """Run one experiment on a worker of its own.

    Starting a worker costs many seconds, so one lives through all iterations. A worker that dies is started again and
    goes on from the run folder; a failure of the experiment itself is recorded there and not tried again.

    Args:
        clustering: Handle of the clustering actor.
        settings: Only the `experiment_id`; the rest does not belong among the parameters that Tune shows.

    Raises:
        TrialFailedError: The experiment failed.
    """
    # `report` waits for the controller's next look at its workers.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    experiment_id = settings["experiment_id"]
    sweep_folder, allotment = Folder.at(shared.folder), shared.allotment
    folder = sweep_folder.folder(experiment_id)
    TorchTrainer(
        run_worker,
        train_loop_config={
            "experiment": shared.experiments[experiment_id].model_dump(mode="json"),
            "folder": folder.uri,
            "threads": allotment.threads,
            "clustering": clustering,
            "pool": start_pool(shared.folder, experiment_id, shared.num_samples[experiment_id]),
            "working_directory": shared.working_directory,
            "use_gpu": allotment.gpus > 0,
        },
        torch_config=TorchConfig(backend="nccl" if allotment.gpus >= 1 else "gloo"),
        scaling_config=ScalingConfig(num_workers=1, use_gpu=allotment.gpus > 0, resources_per_worker=allotment.worker),
        run_config=RunConfig(  # type: ignore[arg-type]  # what ray.train.RunConfig is at run time
            name=f"train-{experiment_id}",
            storage_path=sweep_folder.folder(".ray").uri,
            callbacks=[TuneReportCallback()],  # type: ignore[no-untyped-call]
            failure_config=FailureConfig(max_failures=WORKER_RETRIES),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    ).fit()
    error = RunDir(folder).error()
    if error is not None:
        raise TrialFailedError(error.partition("\n")[0])
