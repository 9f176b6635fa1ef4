"""What a trial's run is called in MLflow, which tags it can be filtered by, and the dataset it names as its input."""

import getpass
import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_USER

from raycal import __version__
from raycal.algorithm.scenario import Ask
from raycal.config import DEFAULT_ACQUISITION, ExperimentConfig

KIND, FOLDER, EXPERIMENT_ID, STATUS = "raycal.kind", "raycal.folder", "raycal.experiment_id", "raycal.status"
STOPPED_BY = "raycal.stopped_by"
SWEEP_ID = "raycal.sweep_id"
VERSION = "raycal.version"
_ENVIRONMENT = {
    "raycal": VERSION,
    "git": MLFLOW_GIT_COMMIT,
    **{key: f"raycal.{key}" for key in ("device", "dtype", "compiled", "threads", "workers")},
}


def run_name(experiment_id: str, config: ExperimentConfig) -> str:
    """What differs first, as MLflow cuts names short: scenario, acquisition unless entropy, seed, dataset, digest."""
    name = config.acquisition.name
    asked = f" {name}" if config.steps.asks(Ask.UNCERTAIN) and name != DEFAULT_ACQUISITION else ""
    return f"{config.steps.name}{asked} s{config.seed} {config.dataset.name} {experiment_id[-8:]}"


def source() -> dict[str, str]:
    """Tags of who sends a run, and with which version."""
    return {MLFLOW_USER: _user(), MLFLOW_SOURCE_NAME: "raycal.sweep", VERSION: __version__}


def trial_tags(config: ExperimentConfig, environment: Mapping[str, Any]) -> dict[str, str]:
    """Tags of what a trial is and, once it has begun, of what it ran on."""
    tags: dict[str, Any] = {"scenario": config.steps.name, "dataset": config.dataset.name, "seed": config.seed}
    if config.steps.asks(Ask.UNCERTAIN):
        tags["acquisition"] = config.acquisition.name
    if config.steps.forms_clusters:
        tags["num_clusters"] = config.clustering.num_clusters or "budget"
    if config.steps.asks(Ask.CLUSTERS):
        tags["purity_threshold"] = config.expert.options.get("purity_threshold")
    ran_on = {tag: environment.get(key) for key, tag in _ENVIRONMENT.items()}
    return {key: str(value) for key, value in (tags | ran_on).items() if value is not None}


def dataset_input(config: ExperimentConfig, environment: Mapping[str, Any]) -> DatasetInput | None:
    """The dataset that a trial read; None before it has begun."""
    read = environment.get("dataset")
    if read is None:
        return None
    sizes = {key: value for key, value in read.items() if key != "digest"}
    root = config.dataset.options.get("root")
    dataset = Dataset(
        name=config.dataset.name,
        digest=read["digest"],
        source_type="code" if root is None else "local",
        source=json.dumps({"options": config.dataset.options} if root is None else {"uri": str(root)}),
        profile=json.dumps(sizes),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "annotation and test")])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"
