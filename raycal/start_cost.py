"""Measures what starting trials costs a sweep: the time a place for a trial waits until Algorithm 1 begins."""

from statistics import median
from time import monotonic

from raycal.progress import duration


class StartCost:
    """Adds up the time that starting the trials of a sweep took.

    Args:
        places: How many trials run at a time; the first trial of a place also starts its processes.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._seconds: list[float] = []
        self._begin = monotonic()

    def started(self, seconds: float) -> None:
        """A trial began, `seconds` after there was a place for it."""
        self._seconds.append(seconds)

    def __str__(self) -> str:
        """A line for the end of the sweep; empty when no trial began."""
        if not self._seconds:
            return ""
        first, later = self._seconds[: self._places], self._seconds[self._places :]
        words = [f"the first {len(first)} in {duration(median(first))}"]
        if later:
            words.append(f"{len(later)} more in {median(later):.1f} s each")
        share = sum(self._seconds) / (self._places * (monotonic() - self._begin))
        return f"trials started: {', '.join(words)} (median), {min(share, 1):.0%} of their time"
