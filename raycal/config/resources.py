"""What cannot change a result: where and how the trials run, and where they are tracked."""

from typing import Annotated

from annotated_types import Ge, Gt
from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from raycal.config.strict import Strict

Auto = BeforeValidator(lambda value: None if value == "auto" else value)


def _one_worker(workers: int) -> int:
    if workers > 1:
        raise PydanticCustomError("one_worker", "only one worker per trial can be used so far")
    return workers


class ResourceConfig(Strict):
    """Resources of each trial; None (`auto` in YAML): chosen from what the Ray cluster has."""

    workers_per_trial: Annotated[int, Ge(1), AfterValidator(_one_worker)] = 1
    gpus_per_worker: Annotated[Annotated[float, Ge(0)] | None, Auto] = None
    cpus_per_worker: Annotated[Annotated[int, Gt(0)] | None, Auto] = None
    max_concurrent_trials: Annotated[Annotated[int, Gt(0)] | None, Auto] = None


class TrackingConfig(Strict):
    """The MLflow server; None: `MLFLOW_TRACKING_URI`, else a sqlite file in the storage folder."""

    uri: str | None = None
