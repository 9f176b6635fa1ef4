"""Runs made by hand, with only the values that the report draws."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raycal.config import ExperimentConfig
from raycal.report.runs import Runs, Trial
from raycal.storage.folder import Folder
from raycal.storage.results import SECONDS
from raycal.storage.run_dir import Outcome
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

PER_ITERATION = 100


def line(iteration: int, accuracy: float | None, **others: Any) -> dict[str, Any]:
    interactions = others.pop("interactions", PER_ITERATION * (iteration + 1))
    values = {
        "iteration": iteration,
        "interactions": interactions,
        "test_accuracy": accuracy,
        "test_loss": 1.0,
        "unlabeled": 10,
        "labeled": interactions,
        "cluster_labeled": 0,
        "annotated": interactions,
        "clusters_shown": 0,
        "clusters_accepted": 0,
        "cluster_label_error": None,
        "mean_cluster_purity": None,
        "pseudo_labeled": 0,
        "pseudo_label_error": None,
        "human_seconds": 36.0 * interactions,
    }
    return values | dict.fromkeys(SECONDS, 1.0) | others


def trial(
    scenario: Any,
    seed: int,
    accuracies: Sequence[float | None] = (),
    *,
    status: Outcome = "finished",
    reason: str = "",
    dataset: str = "cifar10",
    settings: Mapping[str, Any] | None = None,
    lines: Sequence[Mapping[str, Any]] | None = None,
    folder: str = "",
) -> Trial:
    config = ExperimentConfig.model_validate(
        {
            "dataset": dataset,
            "scenario": scenario,
            "seed": seed,
            "interactions_per_iteration": PER_ITERATION,
            "expert": {"name": "oracle", "purity_threshold": 0.8},
            **(settings or {}),
        }
    )
    made = [line(at, accuracy) for at, accuracy in enumerate(accuracies)] if lines is None else lines
    return Trial(
        experiment_id=config.experiment_id,
        config=config,
        scenario=config.resolved_scenario.name,
        status=status,
        reason=reason,
        lines=tuple(made),
        folder=folder,
    )


def supervised(seed: int, accuracy: float, **others: Any) -> Trial:
    return trial("supervised", seed, lines=[line(0, accuracy, interactions=1000)], **others)


def threshold(value: float) -> dict[str, Any]:
    return {"expert": {"name": "oracle", "purity_threshold": value}}


def runs(*trials: Trial, name: str = "small") -> Runs:
    return Runs(name=name, trials=trials)


def write_sweep(folder: Path, trials: Sequence[Trial]) -> SweepDir:
    """Write the folder of a sweep that has these trials, which have finished or failed."""
    sweep_dir = SweepDir(Folder.at(str(folder)))
    experiments = {one.experiment_id: one.config for one in trials}
    sweep_dir.write_plan(SweepPlan(sweep=folder.name, experiments=experiments, threads=1))
    for one in trials:
        run_dir = RunWriter.of(sweep_dir, one.experiment_id)
        run_dir.folder.write("results.jsonl", "".join(json.dumps(line) + "\n" for line in one.lines).encode())
        if one.status == "finished":
            run_dir.finish("iterations")
        else:
            run_dir.fail(one.reason)
    return sweep_dir
