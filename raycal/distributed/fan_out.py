"""A sweep on Ray: one Tune trial per experiment, all sharing a clustering actor."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import ray
from ray import tune

from raycal.distributed.actors import NAMESPACE, start_clustering
from raycal.distributed.resources import TRIAL_CPU, Node
from raycal.distributed.trial import Shared, run_trial
from raycal.errors import InputError
from raycal.files import Folder

CONNECT_SECONDS = 10.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Ctrl-C is ours: it ends the sweep with its own message and exit code.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune 2.60's new output prints a box and paths even when told to be silent.
    "RAY_AIR_NEW_OUTPUT": "0",
    # The actors of a trial use no core while its worker computes; the raylet warns of their number all the same.
    "RAY_worker_maximum_startup_concurrency": str(8 * (os.cpu_count() or 1)),
}


class Follower(Protocol):
    """Hears of a sweep's experiments while they run."""

    def iteration(self, experiment_id: str, line: Mapping[str, Any]) -> None:
        """An iteration was saved; `line` holds at least its line of results.jsonl."""

    def finished(self, experiment_id: str) -> None:
        """An experiment ended, well or with its failure recorded."""

    def died(self, experiment_id: str, reason: str) -> None:
        """An experiment ended, perhaps without a record of its failure; `reason` is what Ray says of it."""


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Connect to a Ray cluster, or start one on this machine; yields its nodes, and leaves it at the end.

    Args:
        address: As `ray.init` takes it; None: `RAY_ADDRESS`, else a cluster running here, else a new one.

    Raises:
        InputError: There is no Ray cluster at the address.
    """
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    _must_answer(address or os.environ.get("RAY_ADDRESS") or "")
    try:
        ray.init(address, namespace=NAMESPACE, logging_level=logging.WARNING, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = address or os.environ.get("RAY_ADDRESS") or "on this machine"
        raise InputError(
            f"no Ray cluster {where}: {str(error).partition(chr(10))[0]} (a cluster with tokens needs "
            "RAY_AUTH_MODE=token here and where it was started)"
        ) from error
    try:
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        yield [Node.of(node["Resources"]) for node in nodes if node["Alive"]]
    finally:
        ray.shutdown()


def _must_answer(address: str) -> None:
    """Refuse `host:port` where nothing listens; Ray itself tries for a quarter of an hour."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}") from error


def fan_out(shared: Shared, experiment_ids: list[str], follower: Follower) -> None:
    """Run the experiments, `allotment.concurrent_trials` at a time; returns when all have finished or failed."""
    # A failed trial is told of once, by its follower; Tune's logger prints the whole way it came.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    allotment = shared.allotment
    clustering = start_clustering(
        threads=allotment.threads, concurrency=allotment.concurrent_trials, gpus=allotment.clustering_gpus
    )
    trainable = tune.with_parameters(run_trial, shared=shared, clustering=clustering)
    tune.Tuner(
        tune.with_resources(trainable, {"CPU": TRIAL_CPU}),
        param_space={"experiment_id": tune.grid_search(experiment_ids)},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=allotment.concurrent_trials,
            trial_name_creator=lambda trial: trial.config["experiment_id"],
            trial_dirname_creator=lambda trial: trial.config["experiment_id"],
        ),
        # Tune's own files are not read again: a resumed sweep starts a new Tune run.
        run_config=tune.RunConfig(
            name=f"tune-{uuid4().hex[:8]}",
            storage_path=Folder.at(shared.folder).folder(".ray").uri,
            callbacks=[_Reporter(follower)],
            verbose=0,
        ),
    ).fit()


class _Reporter(tune.Callback):
    """Hands what Tune hears of a trial to whoever follows the sweep."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def __getstate__(self) -> dict[str, Any]:
        # Tuner pickles its callbacks to restore from, which is not done here; a follower has threads and locks.
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "interactions" in result:
            self._follower.iteration(trial.config["experiment_id"], result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._follower.finished(trial.config["experiment_id"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        record = Path(trial.error_file or "")
        reason = record.read_text() if record.is_file() else "no reason given"
        self._follower.died(trial.config["experiment_id"], reason)
