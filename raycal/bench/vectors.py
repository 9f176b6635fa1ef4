"""`vectors`: the CPU time of whole experiments with embeddings that another program has computed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import interleaved
from raycal.bench.sweeps import run_sweep, write_yaml

MOST_SECONDS = 120
NETWORKS = ("linear", "mlp")
NUM_CLASSES, GROUPS_PER_CLASS = 20, 5


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of `raycal.sweep --local` with one experiment, from the start of the process to the report in MLflow.

    The process has one thread, so it takes about as many seconds on an idle machine. The vectors are read from the
    file again in each repeat, because each repeat has a cache of its own.
    """
    pool, width, iterations = options.size(50_000, 400), options.size(512, 16), options.size(10, 2)
    interactions = options.size(200, 20)
    with TemporaryDirectory() as folder:
        file = _write_vectors(Path(folder) / "vectors.npz", pool, pool // 5, width)
        numbers = iter(range(10**6))

        def arm(network: str) -> None:
            place = Path(folder) / f"{network}-{next(numbers)}"
            place.mkdir()
            run_sweep(write_yaml(place, _sweep(file, network, iterations, interactions)), place / "runs", "--local")

        durations = interleaved(
            {network: lambda network=network: arm(network) for network in NETWORKS},  # type: ignore[misc]
            options.repeats,
        )
    for network in NETWORKS:
        yield Figure(
            benchmark="vectors",
            name=f"CPU, whole experiment, model {network}",
            value=median(durations[network]),
            unit="s",
            goal=Goal("<=", MOST_SECONDS),
            arms={network: durations[network]},
            setting={
                "pool": pool,
                "width": width,
                "iterations": iterations,
                "interactions_per_iteration": interactions,
                "scenario": "uncertain+cluster",
                "arms": "CPU seconds of the process",
            },
        )


def _sweep(file: Path, network: str, iterations: int, interactions: int) -> Mapping[str, Any]:
    return {
        "name": "bench",
        "experiment": {
            "dataset": {"name": "embeddings", "file": str(file), "split": "split"},
            "model": network,
            "scenario": "uncertain+cluster",
            "iterations": iterations,
            "interactions_per_iteration": interactions,
        },
        "resources": {"cpus_per_worker": 1},
    }


def _write_vectors(file: Path, num_pool: int, num_test: int, width: int) -> Path:
    """Write vectors that lie in groups, and return the path. Nearly all clusters of them are pure, so the model is
    trained on nearly the whole pool, which takes more time than a training on fewer vectors."""
    rng = np.random.default_rng(0)
    groups = rng.standard_normal((NUM_CLASSES * GROUPS_PER_CLASS, width), np.float32)
    group_of = rng.integers(len(groups), size=num_pool + num_test)
    vectors = groups[group_of] + 2 * rng.standard_normal((len(group_of), width), np.float32)
    split = np.where(np.arange(len(group_of)) < num_pool, "train", "test")
    np.savez(file, vectors=vectors, labels=group_of % NUM_CLASSES, split=split)
    return file
