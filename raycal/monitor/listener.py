"""Handles the events of a sweep's experiments in the process that drives the sweep."""

from raycal.monitor.progress import Progress
from raycal.monitor.startup import StartCost
from raycal.storage.results import IterationRecord
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking import NoTracker, Tracker


class ConsoleListener:
    """Prints progress, wakes the tracker, and records the end of an experiment that could not record its own end."""

    def __init__(
        self, sweep_dir: SweepDir, progress: Progress, tracker: Tracker | NoTracker, start_cost: StartCost
    ) -> None:
        self._sweep_dir, self._progress, self._tracker = sweep_dir, progress, tracker
        self._start_cost = start_cost

    def scheduled(self, experiment_id: str) -> None:
        """An experiment got a slot to run in."""
        self._progress.scheduled(experiment_id)

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began, `seconds` after a slot became free for the experiment."""
        self._start_cost.started(seconds)
        self._progress.started(experiment_id, seconds)

    def iteration(self, experiment_id: str, line: IterationRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        self._progress.iteration(experiment_id, line)
        self._tracker.changed(experiment_id)

    def finished(self, experiment_id: str) -> None:
        """An experiment ended, either well or with its failure recorded."""
        self._progress.ended(experiment_id, self._sweep_dir.run_dir(experiment_id).error())
        self._tracker.changed(experiment_id)

    def stopped(self, experiment_id: str, reason: str) -> None:
        """An experiment was stopped early; `reason` names the scheduler that stopped it."""
        RunWriter.of(self._sweep_dir, experiment_id).stop(reason)
        self._progress.stopped(experiment_id, reason)
        self._tracker.changed(experiment_id)

    def died(self, experiment_id: str, reason: str) -> None:
        """An experiment ended, perhaps without a record of its failure."""
        run_dir = RunWriter.of(self._sweep_dir, experiment_id)
        if not run_dir.state().has_ended:
            run_dir.fail(f"on Ray: {reason}")
        self.finished(experiment_id)
