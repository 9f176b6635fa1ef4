"""Where and how the trials run, and where they are tracked: of it only the number of workers can change a result."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BeforeValidator

from raycal.config.strict import MOST, Count, Strict

Auto = BeforeValidator(lambda value: None if value == "auto" else value)


class ResourceConfig(Strict):
    """Resources of each trial; None (`auto` in YAML): chosen from what the Ray cluster has.

    `workers_per_trial` becomes `workers` of every experiment.
    """

    workers_per_trial: Count = 1
    gpus_per_worker: Annotated[Annotated[float, Ge(0), Le(MOST)] | None, Auto] = None
    cpus_per_worker: Annotated[Count | None, Auto] = None
    max_concurrent_trials: Annotated[Count | None, Auto] = None
    compile: Annotated[bool | None, Auto] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How one worker computes; the last bits of a result depend on it.

    Attributes:
        threads: Of torch.
        gpu_share: The part of a GPU that the worker may use, where it has one.
        compile: Whether the network is compiled; None: on a GPU, where it pays.
    """

    threads: int
    gpu_share: float = 1.0
    compile: bool | None = None


class TrackingConfig(Strict):
    """The MLflow server; None: `MLFLOW_TRACKING_URI`, else a sqlite file in the storage folder."""

    uri: str | None = None
