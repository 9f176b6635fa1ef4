"""A Ray Train worker group that outlives its experiment: starting a group takes many seconds, but giving a running
group its next experiment takes almost no time."""

import os
from contextlib import suppress
from threading import Thread
from typing import Any

import ray
from ray.exceptions import RayError

from raycal.distributed.mailbox import Event, TrialOrder, start_mailbox
from raycal.distributed.ray_internals import data_parallel_trainer
from raycal.distributed.retries import GROUP_RETRIES
from raycal.distributed.sweep_context import SweepContext
from raycal.errors import InfrastructureError
from raycal.storage.folder import Folder

LOOK_SECONDS = 5.0
CLOSE_SECONDS = 20.0


class WorkerGroup:
    """The workers of a trial, which start once and then run one experiment after another."""

    def __init__(self, context: SweepContext, name: str) -> None:
        self._mailbox = start_mailbox()
        self._number = 0
        self._next: Any = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._fit, args=(context, name), name="raycal-train", daemon=True)
        self._thread.start()

    def begin(self, experiment_id: str, settings: dict[str, Any]) -> None:
        """Give the workers an experiment. If another experiment is still running, it is abandoned after its current
        iteration."""
        self._number += 1
        self._next = None
        order = TrialOrder(experiment_id=experiment_id, settings=settings, number=self._number)
        # A mailbox that was lost is reported by the next call of `next_event` instead. If the error were raised here,
        # Tune 2.60 would give up the trial, as it does with every trial that fails before its first step.
        with suppress(RayError):
            ray.get(self._mailbox.give.remote(order))

    def allow(self, iterations: int) -> None:
        """Let the experiment continue after this number of iterations."""
        self._mailbox.allow.remote(iterations)

    def next_event(self) -> Event:
        """Wait for the next event of the experiment.

        Raises:
            InfrastructureError: The worker group has ended.
        """
        while True:
            self._next = self._next or self._mailbox.next_event.remote()
            ready, _ = ray.wait([self._next], timeout=LOOK_SECONDS)
            if not ready and self._thread.is_alive():
                continue
            if not ready:
                raise InfrastructureError(f"the workers are gone: {self._error}") from self._error
            try:
                event: Event = ray.get(self._next)
            except RayError as error:
                raise InfrastructureError(f"the mailbox is gone: {error}") from error
            self._next = None
            if event.number == self._number:
                return event

    def close(self) -> None:
        """End the workers; workers in the middle of an iteration end when this process ends."""
        self._mailbox.close.remote()
        self._thread.join(CLOSE_SECONDS)

    def _fit(self, context: SweepContext, name: str) -> None:
        try:
            _train(context, name, self._mailbox)
        except BaseException as error:  # `next_event` raises this error.
            self._error = error


def _train(context: SweepContext, name: str, mailbox: Any) -> None:
    """Start the workers, and return when they have ended."""
    from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig

    from raycal.distributed.process_group import ProcessGroupConfig

    # At this interval, Ray checks whether a worker has died or the last worker has ended.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    allocation = context.allocation
    data_parallel_trainer()(
        _work,
        train_loop_config={"context": context, "mailbox": mailbox},
        backend_config=ProcessGroupConfig(allocation.gpus),
        scaling_config=ScalingConfig(
            num_workers=allocation.workers, use_gpu=allocation.gpus > 0, resources_per_worker=allocation.worker
        ),
        run_config=RunConfig(  # type: ignore[call-arg]  # mypy takes it for the class of Train v1
            name=name,
            storage_path=Folder.at(context.folder).folder(".ray").uri,
            failure_config=FailureConfig(max_failures=GROUP_RETRIES),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    ).fit()


def _work(settings: dict[str, Any]) -> None:
    # The module is imported in the worker alone, because importing torch takes seconds.
    from raycal.distributed.worker import run_worker

    run_worker(settings)
