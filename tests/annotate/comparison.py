"""Reads what must be the same in a run of people and in the simulation of the same experiment."""

from io import BytesIO
from typing import Any

import pyarrow.parquet as pq

from raycal.storage.checkpoints import StateDir
from raycal.storage.results import SECONDS
from raycal.storage.run_dir import STATES, RunDir

UNKNOWN = ["purity", "wrong", "seconds"]  # People cannot fill these columns of the ledger as the oracle does.


def columns(run_dir: RunDir) -> dict[str, list[Any]]:
    """The ledger by column."""
    read: dict[str, list[Any]] = pq.read_table(BytesIO(run_dir.ledger())).to_pydict()
    return read


def ledger(run_dir: RunDir) -> dict[str, list[Any]]:
    """The columns of the ledger that must be equal."""
    return {name: values for name, values in columns(run_dir).items() if name not in UNKNOWN}


def comparable(run_dir: RunDir) -> list[dict[str, Any]]:
    """The values in the lines of the results that must be equal, including the accuracies."""
    left_out = {*SECONDS, "human_seconds", "cluster_label_error", "mean_cluster_purity"}
    return [{key: value for key, value in line.items() if key not in left_out} for line in run_dir.results()]


def pools(run_dir: RunDir, num_samples: int) -> list[tuple[list[int], list[int]]]:
    """The status and the label of each sample of the pool in the saved states, the newest first."""
    saved = [state.loop(num_samples).pool for state in StateDir(run_dir.folder.folder(STATES)).whole()]
    return [(pool.status.tolist(), pool.labels.tolist()) for pool in saved]
