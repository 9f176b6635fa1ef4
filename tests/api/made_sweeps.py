"""Makes folders of sweeps whose results are set by the test instead of coming from trained models."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from small_iterations import refused, sample

from raycal.algorithm.records import Interaction
from raycal.config import load_sweep
from raycal.experiment.build import REGISTRIES
from raycal.storage.folder import Folder
from raycal.storage.ledger import to_parquet
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

EXPERIMENT = {"dataset": "digits", "model": {"weights": "none"}, "interactions_per_iteration": 10}


def line(iteration: int, accuracy: float | None, *, interactions: int | None = None) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "interactions": 10 * (iteration + 1) if interactions is None else interactions,
        "test_accuracy": accuracy,
        "annotated": 10 * (iteration + 1),
        "clusters_shown": 0,
        "cluster_label_error": None,
        "human_seconds": 36.0 * (iteration + 1),
    }


def interactions(count: int) -> list[Interaction]:
    """Ledger rows of samples that get a label and, at the end, of a cluster of two samples that is refused."""
    rows = [sample(number, indices=np.array([number], np.int64)) for number in range(1, count)]
    return [*rows, refused(count, seconds=8.0, indices=np.array([5, 6], np.int64))]


def sweep_folder(
    storage: Path,
    accuracies: Mapping[tuple[str, float | None, int], Sequence[float | None]],
    grid: Mapping[str, Any],
    *,
    failed: Sequence[int] = (),
    name: str = "made",
    experiment: Mapping[str, Any] = EXPERIMENT,
) -> Path:
    """Write the folder of a sweep and return it.

    Args:
        accuracies: The accuracies of each finished trial, by scenario, purity threshold (None for a scenario without
            clusters) and seed.
        failed: The positions of the failed trials in the order of the sweep.
    """
    sweep = load_sweep({"name": name, "experiment": experiment, "grid": grid}, REGISTRIES)
    sweep_dir = SweepDir(Folder.at(str(storage / name)))
    sweep_dir.write_plan(SweepPlan(sweep=name, experiments=sweep.experiments, threads=1, axes=sweep.axes))
    for place, (key, config) in enumerate(sweep.experiments.items()):
        run_dir = RunWriter.of(sweep_dir, key)
        threshold = config.purity_threshold if config.resolved_scenario.forms_clusters else None
        values = accuracies.get((config.resolved_scenario.name, threshold, config.seed))
        if place in failed:
            run_dir.fail("iteration 0: DivergedError: the loss is nan\n")
        if values is None:
            continue
        spent = 1000 if config.resolved_scenario.whole_pool else None
        lines = [line(at, value, interactions=spent) for at, value in enumerate(values)]
        run_dir.folder.write("results.jsonl", "".join(json.dumps(one) + "\n" for one in lines).encode())
        run_dir.folder.write("ledger/iteration-000000.parquet", to_parquet(interactions(3)))
        if place not in failed:
            run_dir.finish("iterations")
    return storage / name
