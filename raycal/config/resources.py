"""Settings that say where trials run and where they are tracked. Of these settings, only the number of workers can
change a result by more than its last bits."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BeforeValidator

from raycal.config.strict import MAX_COUNT, Count, Strict

Auto = BeforeValidator(lambda value: None if value == "auto" else value)


class ResourceConfig(Strict):
    """Resources of each trial. None (`auto` in YAML) means that raycal chooses a value from what the Ray cluster has.

    `workers_per_trial` becomes the setting `workers` of every experiment.
    """

    workers_per_trial: Count = 1
    gpus_per_worker: Annotated[Annotated[float, Ge(0), Le(MAX_COUNT)] | None, Auto] = None
    cpus_per_worker: Annotated[Count | None, Auto] = None
    max_concurrent_trials: Annotated[Count | None, Auto] = None
    compile: Annotated[bool | None, Auto] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Compute settings of one worker. The last bits of a result depend on them.

    Attributes:
        threads: Number of torch threads.
        gpu_share: Share of a GPU that the worker may use, if it has one.
        compile: Whether the network is compiled. None means that it is compiled on a GPU if this saves time.
    """

    threads: int
    gpu_share: float = 1.0
    compile: bool | None = None


class TrackingConfig(Strict):
    """The address of the MLflow server. None means the value of `MLFLOW_TRACKING_URI` or, if this variable is not set,
    a sqlite file in the storage folder.
    """

    uri: str | None = None
