"""Makes run folders without running experiments, and reads everything that MLflow holds of a sweep."""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from small_iterations import sample

from raycal.algorithm.records import (
    Evaluation,
    Fitted,
    IterationResult,
    PhaseSeconds,
    PoolSnapshot,
)
from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.storage.folder import Folder
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

CONFIGS = [
    ExperimentConfig.model_validate({"dataset": "digits", "scenario": scenario, "seed": 3}, context=build.REGISTRIES)
    for scenario in ("random", "cluster-only")
]


def planned(folder: Path) -> SweepDir:
    """The folder of a sweep of the experiments `CONFIGS`, none of which has begun."""
    sweep_dir = SweepDir(Folder.at(str(folder)))
    experiments = {config.experiment_id: config for config in CONFIGS}
    sweep_dir.write_plan(SweepPlan(sweep=folder.name, experiments=experiments, threads=1))
    return sweep_dir


def commit(sweep_dir: SweepDir, iteration: int, config: ExperimentConfig = CONFIGS[0]) -> dict[str, Any]:
    """Commit one iteration of an experiment, and return its line of results.jsonl."""
    run_dir = RunWriter.of(sweep_dir, config.experiment_id)
    if iteration == 0:
        run_dir.begin(config)
    row = sample(10 * (iteration + 1), iteration=iteration, label=1, indices=np.array([iteration], np.int64))
    return run_dir.commit(
        IterationResult(
            iteration=iteration,
            interactions=10 * (iteration + 1),
            human_seconds=42.5 * (iteration + 1),
            ledger=(row,),
            pool=PoolSnapshot(status=np.ones(20, np.int8), labels=np.zeros(20, np.int32)),
            evaluation=Evaluation(accuracy=0.25 * (iteration + 1), loss=2.0, chance=0.125),
            seconds=PhaseSeconds(predict=0.5, cluster=0.0, train=1.0, evaluate=0.25),
            fitted=Fitted(steps=5, first_loss=2.0, last_loss=1.5),
        ),
        b"model",
    )


def content(uri: str, sweep: str, place: Path) -> dict[str, Any]:
    """The content of an MLflow experiment by the runs' names, without ids and file locations."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(sweep)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    name_of = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(name_of.values())) == len(runs)
    found: dict[str, Any] = {}
    for run in runs:
        tags = dict(run.data.tags)
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = name_of[tags["mlflow.parentRunId"]]
        folder = place / run.info.run_id
        folder.mkdir(parents=True)
        client.download_artifacts(run.info.run_id, "", str(folder))
        found[run.info.run_name] = {
            "times": (run.info.start_time, run.info.end_time),
            "status": run.info.status,
            "tags": tags,
            "params": run.data.params,
            "metrics": {
                key: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
            "inputs": [one.dataset.to_dictionary() for one in run.inputs.dataset_inputs],
            "artifacts": {
                str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
            },
        }
    return found
