"""The table of the trials that are excluded from the statistics."""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.config.people import asks_people
from raycal.monitor.summary import NO_REASON
from raycal.report.runs import Trial
from raycal.report.stats.comparison import Comparison
from raycal.report.tables.frame import Row, frame

REMOVED = "no longer in the sweep file"
NOT_ANSWERED = "people have not answered all of its questions yet; python -m raycal.annotate goes on"


_FAILURES = ("dataset", "group", "seed", "experiment id", "status", "iterations", "reason")


def failure_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Every trial that did not finish, with the reason."""
    return frame(_FAILURES, (row for comparison in comparisons for row in _failure_rows(comparison)))


def _failure_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield a row per trial that is excluded from the statistics."""
    for group in comparison.groups:
        for trial in group.trials:
            if trial.status != "finished":
                yield (
                    comparison.dataset,
                    group.label,
                    trial.config.seed,
                    trial.experiment_id,
                    trial.status,
                    len(trial.lines),
                    _reason(trial),
                )


def _reason(trial: Trial) -> str:
    """The first line of the reason (the phase) and its last line, which names the error of a traceback."""
    if trial.status == "stopped":
        return f"stopped early by {trial.reason}"
    lines = trial.reason.splitlines()
    if trial.is_removed:
        return " … ".join(dict.fromkeys((REMOVED, *lines[:1], *lines[-1:])))
    if not lines:
        return NOT_ANSWERED if asks_people(trial.config) else NO_REASON
    return " … ".join(dict.fromkeys((lines[0], lines[-1])))
