"""What a person sees while a sweep runs: a line per finished iteration, with the time left."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from raycal.config import ExperimentConfig


class Progress:
    """Prints a line per finished iteration.

    Args:
        experiments: Those to run now; the time left is reckoned from their iterations.
    """

    def __init__(self, experiments: Mapping[str, ExperimentConfig]) -> None:
        self._total = {key: config.steps.iterations(config.iterations) for key, config in experiments.items()}
        self._done = dict.fromkeys(experiments, 0)
        self._first_done: dict[str, int] = {}
        self._width = max(map(len, experiments), default=0)
        self._begin = monotonic()

    def iteration(self, experiment_id: str, line: Mapping[str, Any]) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        total = self._total[experiment_id]
        # Iterations of an earlier start took none of this start's time.
        first = self._first_done.get(experiment_id, line["iteration"])
        self._first_done[experiment_id] = min(first, line["iteration"])
        self._done[experiment_id] = line["iteration"] + 1
        print(
            f"{experiment_id:{self._width}}  iteration {line['iteration'] + 1}/{total}"
            f"  interactions {line['interactions']:,}  annotated {line['annotated']:,}"
            f"  accuracy {line['test_accuracy']:.3f}  {self._time_left()}",
            flush=True,
        )

    def ended(self, experiment_id: str, error: str | None) -> None:
        """An experiment ended, perhaps before its last iteration, perhaps with an error."""
        self._total[experiment_id] = self._done[experiment_id]
        if error is not None:
            print(f"{experiment_id:{self._width}}  failed: {error.partition(chr(10))[0]}", flush=True)

    def _time_left(self) -> str:
        done = sum(self._done[key] - first for key, first in self._first_done.items())
        left = sum(self._total.values()) - sum(self._done.values())
        return f"about {duration((monotonic() - self._begin) / done * left)} left" if left else "all done"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
