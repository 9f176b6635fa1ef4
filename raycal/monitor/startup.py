"""Measures the start-up time of trials: the time from when a concurrent slot is free until Algorithm 1 begins in it."""

from statistics import median
from time import monotonic

from raycal.monitor.progress import duration


class StartCost:
    """Adds up the time that starting the trials of a sweep took.

    Args:
        places: The number of concurrent slots for trials; the first trial of a slot also starts its processes.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._seconds: list[float] = []
        self._begin = monotonic()

    def started(self, seconds: float) -> None:
        """Count a trial that began `seconds` after a slot became free for it."""
        self._seconds.append(seconds)

    def __str__(self) -> str:
        """The line to print at the end of the sweep; empty if no trial began."""
        if not self._seconds:
            return ""
        first, later = self._seconds[: self._places], self._seconds[self._places :]
        which = f"each of the first {len(first)} trials" if len(first) > 1 else "the first trial"
        words = f"starting took {duration(median(first))} for {which}"
        if later:
            others = f"each of the other {len(later)} trials" if len(later) > 1 else "the other one"
            words += f" and {median(later):.1f} s for {others}"
        medians = " (medians)" if len(later) > 1 else " (median)" if len(first) > 1 else ""
        share = min(1, sum(self._seconds) / (self._places * (monotonic() - self._begin)))
        together = "together " if len(self._seconds) > 1 else ""
        return f"{words}{medians}, {together}{share:.0%} of the time that was available for trials"
