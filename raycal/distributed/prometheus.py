"""Reports the state of a sweep to Ray, from which Prometheus scrapes it. The sweep's own listener gets the same events.

A separate thread reports the queued events, so that a failure to report cannot harm the sweep.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from raycal.config import ExperimentConfig
from raycal.errors import shortened
from raycal.monitor.listener import ConsoleListener
from raycal.monitor.sweep_metrics import TABLE, SweepMetrics
from raycal.storage.results import TimedRecord
from raycal.storage.run_dir import TrialState
from raycal.storage.sweep_dir import SweepDir

if TYPE_CHECKING:
    from ray.util.metrics import Gauge

logger = logging.getLogger(__name__)

# Ray 2.60 exports a gauge once after it was set, every 10 s, and drops a gauge that was not exported for 20 s.
RECORD_SECONDS = 5.0
CLOSE_SECONDS = 0.5


class Recorder(Thread):
    """Sets Ray's gauges every few seconds, from the events queued in the meantime.

    Args:
        experiments: The sweep's experiments by id, including experiments that have ended. More experiments may be added
            to it.
        num_trials: The largest number of trials that the sweep may have.
        backlog: Returns how many experiments have something to send to MLflow.
    """

    def __init__(
        self,
        sweep: str,
        sweep_dir: SweepDir,
        experiments: Mapping[str, ExperimentConfig],
        num_trials: int,
        backlog: Callable[[], int],
    ) -> None:
        super().__init__(name="raycal-metrics", daemon=True)
        plan = sweep_dir.read_plan()
        self._metrics = SweepMetrics(sweep, experiments, num_trials, {} if plan is None else plan.experiments)
        self._sweep_dir, self._experiments, self._backlog = sweep_dir, experiments, backlog
        self._events: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = SimpleQueue()
        self._closing, self._is_late = Event(), False
        self._gauges: dict[str, Gauge] = {}
        self._failures: set[str] = set()

    def scheduled(self, experiment_id: str) -> None:
        """Queue the event that a slot became free for a trial."""
        self._events.put((self._metrics.scheduled, (experiment_id,)))

    def started(self, experiment_id: str, seconds: float) -> None:
        """Queue the event that Algorithm 1 began, `seconds` after a slot became free for the trial."""
        self._events.put((self._metrics.started, (experiment_id, seconds)))

    def iteration(self, experiment_id: str, line: TimedRecord) -> None:
        """Queue the event that an iteration was saved."""
        self._events.put((self._metrics.iteration, (experiment_id, line)))

    def ended(self, experiment_id: str) -> None:
        """Queue the event that a trial has ended; its run folder says how it ended."""
        self._events.put((self._end, (experiment_id,)))

    def close(self) -> None:
        """Record the end of the sweep, unless that takes longer than `CLOSE_SECONDS`."""
        self._closing.set()
        self.join(CLOSE_SECONDS)
        self._is_late = True

    def run(self) -> None:
        """Record until the recorder is closed, and then the end of the sweep."""
        for experiment_id in list(self._experiments):
            self._try(self._find, experiment_id)
        self._try(self._record)
        while not self._closing.wait(RECORD_SECONDS):
            self._try(self._record)
        self._metrics.end()
        self._try(self._record)

    def _find(self, experiment_id: str) -> None:
        """Load the results and the state that an earlier start of the sweep left behind."""
        run_dir = self._sweep_dir.run_dir(experiment_id)
        self._metrics.restore(experiment_id, run_dir.results(), run_dir.state())

    def _end(self, experiment_id: str) -> None:
        state = self._sweep_dir.run_dir(experiment_id).state()
        # A trial that left no record of its end has failed: on a full disk even its failure cannot be recorded.
        self._metrics.ended(experiment_id, state if state.has_ended else TrialState.FAILED)

    def _record(self) -> None:
        while not self._events.empty():
            event, arguments = self._events.get()
            self._try(event, *arguments)
        for name, labels, value in self._metrics.samples(self._backlog()):
            if self._is_late:  # Ray may have ended by now.
                return
            self._gauge(name).set(value, labels)

    def _gauge(self, name: str) -> "Gauge":
        from ray.util.metrics import Gauge

        if name not in self._gauges:
            metric = TABLE[name]
            self._gauges[name] = Gauge(name, metric.description, metric.labels)
        return self._gauges[name]

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        """Run an action and suppress its failure, because a sweep can run without metrics. Warn once per kind of
        failure."""
        try:
            action(*arguments)
        except Exception as error:
            if type(error).__name__ not in self._failures:
                logger.warning("metrics: %s: %s", type(error).__name__, shortened(str(error).partition("\n")[0], 200))
            self._failures.add(type(error).__name__)


class MeteredListener:
    """Passes the events of a sweep on Ray on to its listener, and records them."""

    def __init__(self, listener: ConsoleListener, recorder: Recorder) -> None:
        self._listener, self._recorder = listener, recorder

    def scheduled(self, experiment_id: str) -> None:
        """A trial got a slot to run in."""
        self._listener.scheduled(experiment_id)
        self._recorder.scheduled(experiment_id)

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began or continued, `seconds` after a slot became free for the experiment."""
        self._listener.started(experiment_id, seconds)
        self._recorder.started(experiment_id, seconds)

    def iteration(self, experiment_id: str, line: TimedRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        self._listener.iteration(experiment_id, line)
        self._recorder.iteration(experiment_id, line)

    def finished(self, experiment_id: str) -> None:
        """An experiment ended, either well or with its failure recorded."""
        self._listener.finished(experiment_id)
        self._recorder.ended(experiment_id)

    def stopped(self, experiment_id: str, reason: str) -> None:
        """The scheduler stopped an experiment."""
        self._listener.stopped(experiment_id, reason)
        self._recorder.ended(experiment_id)

    def died(self, experiment_id: str, reason: str) -> None:
        """An experiment ended, perhaps without a record of its failure."""
        self._listener.died(experiment_id, reason)
        self._recorder.ended(experiment_id)


@contextmanager
def metered(listener: ConsoleListener, recorder: Recorder) -> Iterator[MeteredListener]:
    """A listener that also records the events, while the block runs."""
    recorder.start()
    try:
        yield MeteredListener(listener, recorder)
    finally:
        recorder.close()
