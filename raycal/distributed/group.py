"""A Ray Train worker group that outlives its experiment: starting one costs many seconds, the next order none."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import ray
from ray.exceptions import RayError

from raycal.distributed.mailbox import Event, Order, start_mailbox
from raycal.distributed.resources import Allotment
from raycal.errors import InfrastructureError
from raycal.files import Folder
from raycal.inputs import ExpectedInputs
from raycal.plugins import Plugin

# Deaths of the workers of one group, over all its experiments, after which the whole group is started anew.
GROUP_RETRIES = 10
LOOK_SECONDS = 5.0
CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all worker groups of a sweep share.

    Attributes:
        folder: Of the sweep, as `Folder.at` takes it.
        owner: The start of the sweep that the workers write for, as it recorded itself.
        working_directory: What relative paths in the experiments are relative to.
        clusterings: Handles of the clustering actors by the node each is on.
        pools: Handle of the actor with the live pools.
        wait_for_scheduler: After every iteration, wait whether the trial is to go on.
        expected: The data and weights that each experiment must read, by experiment id.
        plugins: That every worker imports before its first experiment.
    """

    folder: str
    owner: str
    working_directory: str
    allotment: Allotment
    clusterings: Mapping[str, Any]
    pools: Any
    wait_for_scheduler: bool
    expected: Mapping[str, ExpectedInputs] = field(default_factory=dict)
    plugins: Sequence[Plugin] = ()


class WorkerGroup:
    """The workers of a trial, started once and given one experiment after another."""

    def __init__(self, shared: Shared, name: str) -> None:
        self._mailbox = start_mailbox()
        self._number = 0
        self._next: Any = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._fit, args=(shared, name), name="raycal-train", daemon=True)
        self._thread.start()

    def begin(self, experiment_id: str, settings: dict[str, Any]) -> None:
        """Give the workers an experiment; one they are still at is abandoned after its current iteration."""
        self._number += 1
        self._next = None
        order = Order(experiment_id=experiment_id, settings=settings, number=self._number)
        # A mailbox that is gone shows at the next event: Tune 2.60 gives up a trial that fails before its first step.
        with suppress(RayError):
            ray.get(self._mailbox.give.remote(order))

    def allow(self, iterations: int) -> None:
        """The experiment may go on after so many iterations."""
        self._mailbox.allow.remote(iterations)

    def next_event(self) -> Event:
        """What happens next to the experiment, waited for.

        Raises:
            InfrastructureError: The group is gone.
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
        """End the workers; those in the middle of an iteration end with this process."""
        self._mailbox.close.remote()
        self._thread.join(CLOSE_SECONDS)

    def _fit(self, shared: Shared, name: str) -> None:
        try:
            _train(shared, name, self._mailbox)
        except BaseException as error:  # shown by whoever waits for an event
            self._error = error


def _train(shared: Shared, name: str, mailbox: Any) -> None:
    """Start the workers; returns when they have ended."""
    from ray.train import ScalingConfig
    from ray.train.v2.api.config import FailureConfig, LoggingConfig, RunConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from raycal.distributed.process_group import ProcessGroupConfig

    # How soon a dead worker is noticed, and the end of the last one.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    allotment = shared.allotment
    DataParallelTrainer(
        _work,
        train_loop_config={"shared": shared, "mailbox": mailbox},
        backend_config=ProcessGroupConfig(allotment.gpus),
        scaling_config=ScalingConfig(
            num_workers=allotment.workers, use_gpu=allotment.gpus > 0, resources_per_worker=allotment.worker
        ),
        run_config=RunConfig(  # type: ignore[arg-type]  # what ray.train.RunConfig is at run time
            name=name,
            storage_path=Folder.at(shared.folder).folder(".ray").uri,
            failure_config=FailureConfig(max_failures=GROUP_RETRIES),
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    ).fit()


def _work(settings: dict[str, Any]) -> None:
    # Imported where it runs: torch takes seconds.
    from raycal.distributed.worker import run_worker

    run_worker(settings)
