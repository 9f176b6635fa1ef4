"""Describes the progress of the trials of a sweep in words, for the table in a terminal and the table on the live
page."""

from collections import Counter
from collections.abc import Sequence

from raycal.errors import counted
from raycal.monitor.progress import duration
from raycal.monitor.sweep_view import TrialView
from raycal.storage.run_dir import TrialState

COLUMNS = ("trial", "state", "iteration", "accuracy", "time left")
_URGENCY = (TrialState.RUNNING, TrialState.FAILED, TrialState.PLANNED, TrialState.STOPPED, TrialState.FINISHED)


def by_urgency(trials: Sequence[TrialView]) -> list[TrialView]:
    """The trials in the order in which a reader looks for them: first the running trials, then the failed ones."""
    return sorted(trials, key=lambda trial: _URGENCY.index(trial.state))


def cells(trial: TrialView) -> tuple[str, str, str, str, str]:
    """The label, the state, the iterations, the accuracy, and the time left or the reason of the end of a trial."""
    return (
        trial.label,
        trial.state_word,
        f"{len(trial.records)}/{trial.iterations}",
        f"{trial.records[-1]['test_accuracy']:.3f}" if trial.records else "-",
        trial.reason or ("" if trial.seconds_left is None else duration(trial.seconds_left)),
    )


def line(trial: TrialView) -> str:
    """One line about a trial, for output that is not a table."""
    label, state, iterations, accuracy, end = cells(trial)
    words = [label, state, f"iteration {iterations}"]
    if trial.records:
        words += [f"interactions {trial.records[-1]['interactions']:,}", f"accuracy {accuracy}"]
    if end:
        words.append(end if trial.reason else f"about {end} left")
    return "  ".join(words)


def summary(trials: Sequence[TrialView]) -> str:
    """How many trials are in each state, and which strategy has had the highest accuracy in any iteration."""
    states = Counter(trial.state_word for trial in trials)
    words = [counted(len(trials), "trial"), *(f"{number} {state}" for state, number in states.items())]
    reached = [
        (record["test_accuracy"], trial.label) for trial in trials if not trial.is_bound for record in trial.records
    ]
    if reached:
        accuracy, label = max(reached)
        words.append(f"highest accuracy so far {accuracy:.3f} ({label})")
    return ", ".join(words)
