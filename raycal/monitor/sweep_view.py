"""Reads the state of a sweep repeatedly from its folder while other processes run the sweep."""

from collections.abc import Sequence
from dataclasses import dataclass

from raycal.config import ExperimentConfig
from raycal.config.labels import trial_labels
from raycal.monitor.time_left import TimeLeft
from raycal.storage.lease import has_lost_its_owner
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import TrialState
from raycal.storage.sweep_dir import SweepDir


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """The state of one trial.

    Attributes:
        experiment_id: The id of the experiment.
        label: The scenario, the seed and the varied settings.
        state: Whether the trial is planned, is running, or how it has ended.
        iterations: The number of iterations of the trial if it runs to its end.
        records: The records of the iterations that were saved.
        reason: Why the trial was stopped or has failed, in one line; empty for other trials.
        is_bound: Whether the trial is full supervision, which is an upper bound and not a strategy.
        seconds_left: The estimated seconds that the trial still needs while it runs; None if it has ended, or if no
            iteration of the sweep has finished yet, or if the trial was interrupted.
        is_interrupted: Whether the trial has not ended, and the process that ran the sweep is known to be gone.
    """

    experiment_id: str
    label: str
    state: TrialState
    iterations: int
    records: Sequence[IterationRecord]
    reason: str
    is_bound: bool
    seconds_left: float | None
    is_interrupted: bool = False

    @property
    def state_word(self) -> str:
        """The state in one word. A trial that began and was interrupted is not called running."""
        return "interrupted" if self.is_interrupted and self.state is TrialState.RUNNING else self.state.value


class SweepView:
    """Reads the state of a sweep from its folder. Trials that have ended are read once.

    Args:
        sweep_dir: The folder of the sweep.

    Raises:
        InputError: The folder is not the folder of a sweep, or its plan is damaged.
    """

    def __init__(self, sweep_dir: SweepDir) -> None:
        self._sweep_dir = sweep_dir
        self._complete: dict[str, tuple[TrialState, str, list[IterationRecord]]] = {}
        self.name = ""

    @property
    def place(self) -> str:
        """The folder of the sweep, as it is shown to a person."""
        return self._sweep_dir.folder.place

    def trials(self) -> list[TrialView]:
        """The state of every trial that the sweep file still contains, in the order in which the trials start."""
        plan = self._sweep_dir.existing_plan()
        self.name = plan.sweep
        experiments = plan.asked
        labels = trial_labels(experiments, plan.searched)
        read = {key: self._read(key) for key in experiments}
        is_lost = has_lost_its_owner(self._sweep_dir.folder)
        left = {} if is_lost else _seconds_left(experiments, read)
        return [
            TrialView(
                experiment_id=key,
                label=labels.get(key) or key,
                state=state,
                iterations=experiments[key].resolved_scenario.iterations(experiments[key].iterations),
                records=records,
                reason=reason,
                is_bound=experiments[key].resolved_scenario.whole_pool,
                seconds_left=left.get(key),
                is_interrupted=is_lost and not state.has_ended,
            )
            for key, (state, reason, records) in read.items()
        ]

    def _read(self, experiment_id: str) -> tuple[TrialState, str, list[IterationRecord]]:
        if experiment_id in self._complete:
            return self._complete[experiment_id]
        run_dir = self._sweep_dir.run_dir(experiment_id)
        # The state is read before the records, so that a trial which ends in between is read again.
        state = run_dir.state()
        reason = (run_dir.reason() or "").partition("\n")[0] if state in (TrialState.FAILED, TrialState.STOPPED) else ""
        read = state, reason, [] if state is TrialState.PLANNED else run_dir.results()
        if state.is_complete:
            self._complete[experiment_id] = read
        return read


def _seconds_left(
    experiments: dict[str, ExperimentConfig], read: dict[str, tuple[TrialState, str, list[IterationRecord]]]
) -> dict[str, float]:
    """The estimated seconds that each trial still needs, by experiment id; empty before the first iteration."""
    if not any(records for _, _, records in read.values()):
        return {}
    # This clock stands still, because the folder does not say when an iteration was saved. So only the measured seconds
    # of the iterations count.
    time_left = TimeLeft(experiments, concurrent=1, done={}, clock=lambda: 0.0)
    for key, (state, _, records) in read.items():
        for record in records:
            if "labeled" in record:  # Records of early versions lack this key.
                time_left.iteration(key, record)
        if state.has_ended:
            time_left.ended(key)
    return time_left.of_each()
