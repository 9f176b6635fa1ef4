"""Prints the progress of a running sweep: a line per finished iteration, with the time left."""

from collections.abc import Iterable, Mapping
from itertools import chain
from statistics import fmean

from raycal.config import ExperimentConfig
from raycal.storage.results import SECONDS, IterationRecord, is_at_chance, loss_has_not_fallen


class Progress:
    """Prints a line per finished iteration.

    Args:
        experiments: The experiments to run now, from whose iterations the time left is estimated. It may grow.
        concurrent: How many experiments run at a time.
        labels: The label of each experiment, by id; without labels, lines begin with the id alone. It may grow.
    """

    def __init__(
        self,
        experiments: Mapping[str, ExperimentConfig],
        *,
        concurrent: int = 1,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._experiments, self._concurrent = experiments, concurrent
        self._labels = {} if labels is None else labels
        self._done: dict[str, int] = {}
        self._ended: set[str] = set()
        self._seconds: dict[str, list[float]] = {}

    def iteration(self, experiment_id: str, line: IterationRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        config = self._experiments[experiment_id]
        self._done[experiment_id] = line["iteration"] + 1
        self._seconds.setdefault(config.resolved_scenario.name, []).append(sum(line[phase] for phase in SECONDS))
        self._say(
            experiment_id,
            f"iteration {line['iteration'] + 1}/{config.resolved_scenario.iterations(config.iterations)}"
            f"  interactions {line['interactions']:,}  {_annotated(config, line)}"
            f"  accuracy {line['test_accuracy']:.3f}{_doubts(line)}  {self._time_left()}",
        )

    def ended(self, experiment_id: str, error: str | None) -> None:
        """An experiment ended, perhaps before its last iteration and perhaps with an error."""
        self._ended.add(experiment_id)
        if error is not None:
            self._say(experiment_id, f"failed: {error.partition(chr(10))[0]}")

    def stopped(self, experiment_id: str, reason: str) -> None:
        """An experiment was stopped before its last iteration; `reason` is the scheduler's name, such as `asha`."""
        self._ended.add(experiment_id)
        self._say(experiment_id, f"stopped early by {reason}")

    def _say(self, experiment_id: str, words: str) -> None:
        print(f"{named(self._experiments, self._labels)[experiment_id]}  {words}", flush=True)

    def _time_left(self) -> str:
        """The estimated time left, from the measured seconds of the iterations, which exclude the start of a trial."""
        overall = fmean(chain.from_iterable(self._seconds.values()))
        left = {key: self._iterations_left(key) for key in self._experiments}
        running = sum(count > 0 for count in left.values())
        if not running:
            return "all done"
        seconds = sum(
            count * fmean(self._seconds.get(self._experiments[key].resolved_scenario.name, [overall]))
            for key, count in left.items()
        )
        return f"about {duration(seconds / min(self._concurrent, running))} left"

    def _iterations_left(self, experiment_id: str) -> int:
        config = self._experiments[experiment_id]
        total = config.resolved_scenario.iterations(config.iterations)
        return 0 if experiment_id in self._ended else total - self._done.get(experiment_id, 0)


def _annotated(config: ExperimentConfig, line: IterationRecord) -> str:
    """How many images have a label from the expert, and for labels of clusters what happens to them afterwards."""
    if not config.resolved_scenario.forms_clusters:
        return f"annotated {line['annotated']:,}"
    by_cluster = f"labeled {line['labeled']:,}, by cluster {line['cluster_labeled']:,}"
    return f"{by_cluster} ({'kept' if config.keep_cluster_labels else 'given back'})"


def named(experiments: Iterable[str], labels: Mapping[str, str]) -> dict[str, str]:
    """The first columns of a line about each experiment: its id and, where there is one, its label."""
    ids = list(experiments)
    width, label_width = (max(map(len, texts), default=0) for texts in (ids, [labels.get(key, "") for key in ids]))
    if not label_width:
        return {key: f"{key:{width}}" for key in ids}
    return {key: f"{key:{width}}  {labels.get(key, ''):{label_width}}" for key in ids}


def _doubts(line: IterationRecord) -> str:
    """The reasons to doubt an accuracy, in parentheses after it; empty without a reason."""
    doubts = ["no better than guessing"] if is_at_chance(line) else []
    doubts += ["the training loss has not fallen"] if loss_has_not_fallen(line) else []
    return f" ({', '.join(doubts)})" if doubts else ""


def duration(seconds: float) -> str:
    """Seconds in the units a person would use: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
