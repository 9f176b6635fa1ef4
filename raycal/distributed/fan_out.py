"""Runs a sweep on Ray: one Tune trial per experiment, on worker groups that the trials use one after another."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher

from raycal.capacity.allocate import Allocation
from raycal.config import ExperimentConfig, SchedulerConfig
from raycal.distributed.clustering_actor import start_clusterings
from raycal.distributed.live_pools import start_pools
from raycal.distributed.retries import TRIAL_RETRIES
from raycal.distributed.sweep_context import SweepContext
from raycal.distributed.trial import ExperimentTrial
from raycal.plugins import Plugin
from raycal.signals import raise_if_received
from raycal.storage.folder import Folder
from raycal.storage.inputs import ExpectedInputs
from raycal.storage.lease import Lease
from raycal.storage.results import OBJECTIVE, TimedRecord

# No trial has this many iterations. So ASHA never stops a trial at its last iteration, where the trial ends by itself.
MAX_ITERATIONS = 1_000_000


class SweepListener(Protocol):
    """Receives the events of a sweep's experiments while they run."""

    def scheduled(self, experiment_id: str) -> None:
        """A slot became free for the experiment. This is called again when the experiment is started again."""

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began or continued, `seconds` after a slot became free for the experiment."""

    def iteration(self, experiment_id: str, line: TimedRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl plus `started`, the trial's start (Unix time)."""

    def finished(self, experiment_id: str) -> None:
        """An experiment ended, either well or with its failure recorded."""

    def stopped(self, experiment_id: str, reason: str) -> None:
        """The scheduler stopped an experiment."""

    def died(self, experiment_id: str, reason: str) -> None:
        """An experiment ended, perhaps without a record of its failure; `reason` is what Ray reports about it."""


def fan_out(
    folder: str,
    experiments: Mapping[str, ExperimentConfig],
    allocation: Allocation,
    listener: SweepListener,
    *,
    lease: Lease,
    expected: Mapping[str, ExpectedInputs],
    plugins: Sequence[Plugin] = (),
    scheduler: SchedulerConfig | None = None,
    suggestions: Searcher | None = None,
    num_samples: int = 1,
) -> None:
    """Run the experiments, `allocation.concurrent_trials` at a time, and return when all of them have ended.

    Args:
        folder: The folder of the sweep, in a form that `Folder.at` accepts.
        lease: The right of this process to write in the sweep's folder.
        expected: The data and weights that each experiment must read, by experiment id.
        plugins: The plug-ins that workers and clustering actors import.
        scheduler: The scheduler that stops trials early. None means that no trial is stopped.
        suggestions: A search that decides which experiments are run, in place of `experiments`.
        num_samples: The number of experiments that the search is asked for.
    """
    # The listener reports a failed trial once; Tune's logger would print the full traceback.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    context = SweepContext(
        folder=folder,
        lease=lease.record,
        working_directory=os.getcwd(),
        allocation=allocation,
        clusterings=start_clusterings(allocation.clustering, plugins),
        pools=start_pools(folder),
        wait_for_scheduler=scheduler is not None,
        expected=expected,
        plugins=plugins,
    )
    # Only plain values are passed. Plug-ins may define the class of a setting, and a trial's own process does not
    # import the plug-ins.
    settings = {key: config.model_dump(mode="json") for key, config in experiments.items()}
    trainable = tune.with_parameters(ExperimentTrial, context=context, experiments=settings)
    grid = {"experiment_id": tune.grid_search(list(experiments))}
    tune.Tuner(
        tune.with_resources(trainable, allocation.driver),
        param_space={} if suggestions else grid,
        tune_config=tune.TuneConfig(
            max_concurrent_trials=allocation.concurrent_trials,
            reuse_actors=True,
            search_alg=suggestions,
            num_samples=num_samples,
            scheduler=None if scheduler is None else _asha(scheduler),
            trial_name_creator=lambda trial: trial.config["experiment_id"],
            trial_dirname_creator=lambda trial: trial.config["experiment_id"],
        ),
        # Tune's own files are not read again, because a resumed sweep starts a new Tune run.
        run_config=tune.RunConfig(
            name=f"tune-{uuid4().hex[:8]}",
            storage_path=Folder.at(folder).folder(".ray").uri,
            callbacks=[_Reporter(listener, allocation.concurrent_trials, scheduler.name if scheduler else "")],
            failure_config=tune.FailureConfig(max_failures=TRIAL_RETRIES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()


def _asha(config: SchedulerConfig) -> ASHAScheduler:
    """The ASHA scheduler, which compares trials after equally many iterations; a trial ends at its last iteration."""
    return ASHAScheduler(
        metric=OBJECTIVE,
        mode="max",
        max_t=MAX_ITERATIONS,
        grace_period=config.grace_iterations,
        reduction_factor=config.reduction_factor,
    )


class _Reporter(tune.Callback):
    """Passes Tune's events of the trials on to the listener of the sweep.

    Args:
        places: The number of slots, which is the number of trials that run at a time.
        scheduler: The scheduler's name; empty if there is no scheduler.
    """

    def __init__(self, listener: SweepListener, places: int, scheduler: str) -> None:
        self._listener, self._scheduler = listener, scheduler
        self._free = [time.time()] * places
        # For each trial that has a slot, the time since which the slot has waited for the trial to begin. None if the
        # trial has begun.
        self._waiting: dict[str, float | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tuner pickles its callbacks to restore a run, which raycal never does. A listener has threads and locks, which
        # cannot be pickled.
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        raise_if_received()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self._free:
            self._waiting[trial.trial_id] = heappop(self._free)
        self._listener.scheduled(trial.config["experiment_id"])

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._leave(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        experiment_id = trial.config["experiment_id"]
        since = self._waiting.get(trial.trial_id)
        if since is not None:
            self._waiting[trial.trial_id] = None
            if result.get("started"):
                self._listener.started(experiment_id, result["started"] - since)
        if "ended" not in result:
            self._listener.iteration(experiment_id, cast(TimedRecord, result))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._leave(trial)
        experiment_id, last = trial.config["experiment_id"], trial.last_result
        if "ended" not in last:
            self._listener.stopped(experiment_id, self._scheduler)
        elif last.get("error") is None:
            self._listener.finished(experiment_id)
        else:
            self._listener.died(experiment_id, last["error"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._leave(trial)
        record = Path(trial.error_file or "")
        reason = record.read_text() if record.is_file() else "no reason given"
        self._listener.died(trial.config["experiment_id"], reason)

    def _leave(self, trial: Any) -> None:
        """Free the slot of the trial if it has one. If the trial never began, the slot counts as free from the time at
        which it began to wait for the trial."""
        if trial.trial_id in self._waiting:
            heappush(self._free, self._waiting.pop(trial.trial_id) or time.time())
