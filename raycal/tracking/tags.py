"""Defines the MLflow run of a trial: its name, the tags to filter by, and its input dataset."""

import getpass
import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_USER

from raycal import __version__
from raycal.algorithm.scenario import Ask
from raycal.config import DEFAULT_ACQUISITION, ExperimentConfig
from raycal.config.dataset_names import data_place, dataset_name
from raycal.tracking.names import UNNAMED, Names

KIND, FOLDER, EXPERIMENT_ID, STATUS = "raycal.kind", "raycal.folder", "raycal.experiment_id", "raycal.status"
STOPPED_BY = "raycal.stopped_by"
SWEEP_ID = "raycal.sweep_id"
VERSION = "raycal.version"
PLUGINS = "raycal.plugins"
IN_SWEEP_FILE = "raycal.in_sweep_file"  # The value `no` means that the sweep file no longer contains the trial.
DATASET = "dataset"  # The name of the dataset in the sweep.
# The name of the dataset, with the options that distinguish it from other datasets of the same name.
DATASET_LABEL = "raycal.dataset"
# The scenario and settings that trials with different seeds share. The charts draw one line for each condition.
CONDITION = "condition"
# This metric is the share of the clusters shown in an iteration that the expert accepted.
ACCEPTANCE = "cluster_acceptance"
MAX_LABEL = 100
_ENVIRONMENT = {
    "raycal": VERSION,
    "git": MLFLOW_GIT_COMMIT,
    **{key: f"raycal.{key}" for key in ("device", "dtype", "compiled", "threads", "workers", "clustering")},
}


def run_name(experiment_id: str, config: ExperimentConfig, label: str | None = None, dataset: str | None = None) -> str:
    """The name of a trial's run, as in `cluster-only (purity threshold 0.7) s0 1a2b3c4d`.

    The parts that differ between trials come first, because MLflow truncates names. An acquisition other than entropy
    is always named.

    Args:
        label: The label of the trial in its sweep, which contains the dataset if there are several. None means the
            scenario, the seed and the dataset.
        dataset: The name of the trial's dataset in the sweep; None means the name that it has without other datasets.
    """
    scenario, acquisition = config.resolved_scenario.name, config.acquisition.name
    label = label or f"{scenario} s{config.seed} {dataset or dataset_name(config)}"
    is_said = (
        "acquisition" in label or acquisition == DEFAULT_ACQUISITION or not config.resolved_scenario.asks(Ask.UNCERTAIN)
    )
    if not is_said and label.startswith(scenario):
        label = f"{scenario} {acquisition}{label.removeprefix(scenario)}"
    if len(label) > MAX_LABEL:
        label = f"{label[:MAX_LABEL]}… s{config.seed}"
    return f"{label} {experiment_id[-8:]}"


def source() -> dict[str, str]:
    """The tags for the user who sends a run and for the version of raycal."""
    return {MLFLOW_USER: _user(), MLFLOW_SOURCE_NAME: "raycal.sweep", VERSION: __version__}


def trial_metrics(line: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of one record of results.jsonl: its values, and the share of accepted clusters if any were shown."""
    metrics = {key: float(value) for key, value in line.items() if value is not None}
    if line.get("clusters_shown"):
        metrics[ACCEPTANCE] = line["clusters_accepted"] / line["clusters_shown"]
    return metrics


def trial_tags(config: ExperimentConfig, environment: Mapping[str, Any], names: Names = UNNAMED) -> dict[str, str]:
    """The tags for the settings of a trial and, once it has begun, for the environment that it ran in.

    Args:
        names: The names of the trial in its sweep. A missing name is replaced by the name that the trial would have in
            a sweep by itself.
    """
    tags: dict[str, Any] = names_tags(config, names)
    tags |= {"scenario": config.resolved_scenario.name, "seed": config.seed}
    if config.resolved_scenario.asks(Ask.UNCERTAIN):
        tags["acquisition"] = config.acquisition.name
    if config.resolved_scenario.forms_clusters:
        tags["num_clusters"] = config.clustering.num_clusters or "budget"
    if config.resolved_scenario.asks(Ask.CLUSTERS):
        tags["purity_threshold"] = config.purity_threshold
    if config.plugins:
        tags[PLUGINS] = ", ".join(f"{name} {digest[:12]}" for name, digest in config.plugins.items())
    ran_on = {tag: environment.get(key) for key, tag in _ENVIRONMENT.items()}
    return {key: str(value) for key, value in (tags | ran_on).items() if value is not None}


def names_tags(config: ExperimentConfig, names: Names) -> dict[str, str]:
    """The tags that depend on the other trials of the sweep, and change when the sweep grows."""
    dataset = names.dataset or dataset_name(config)
    return {
        DATASET: dataset,
        DATASET_LABEL: names.dataset_label or dataset,
        CONDITION: names.condition or config.resolved_scenario.name,
    }


def dataset_input(
    config: ExperimentConfig, environment: Mapping[str, Any], name: str | None = None
) -> DatasetInput | None:
    """The dataset that a trial read, under its name in the sweep; None before the trial has begun."""
    read = environment.get("dataset")
    if read is None:
        return None
    sizes = {key: value for key, value in read.items() if key.startswith("num_")}
    root = config.dataset.options.get("root") if (place := data_place(config)) is None else place
    dataset = Dataset(
        name=name or dataset_name(config),
        digest=read["digest"],
        source_type="code" if root is None else "local",
        source=json.dumps({"options": config.dataset.options} if root is None else {"uri": str(root)}),
        profile=json.dumps(sizes),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "annotation and test")])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # A container may run under a user id that has no name.
        return "unknown"
