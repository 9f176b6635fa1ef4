"""Prints the progress of a running sweep: a line per finished iteration, with the best accuracy and the time left."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

from raycal.config import ExperimentConfig
from raycal.monitor.time_left import TimeLeft
from raycal.storage.results import IterationRecord, is_at_chance, loss_has_not_fallen


class Progress:
    """Prints a line per finished iteration.

    Trials are numbered in the order in which they print their first line. The numbers of the trials that were complete
    before this start come first. The best accuracy is the highest one so far among the trials with the same dataset.
    Full supervision does not count for the best accuracy, because full supervision is an upper bound and not a
    strategy.

    Args:
        experiments: The experiments to run now. More may be added later.
        concurrent: How many experiments run at a time.
        labels: The label of each experiment, by id; without labels, lines begin with the id alone. More may be
            added later.
        num_trials: The number of trials of the sweep, including trials that were complete before. None means the number
            of `experiments`.
        earlier: The lines of results.jsonl from earlier starts, by experiment id, with the settings of the experiment.
        clock: Returns the current time in seconds.
    """

    def __init__(
        self,
        experiments: Mapping[str, ExperimentConfig],
        *,
        concurrent: int = 1,
        labels: Mapping[str, str] | None = None,
        num_trials: int | None = None,
        earlier: Iterable[tuple[str, ExperimentConfig, Sequence[IterationRecord]]] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._experiments = experiments
        self._labels = {} if labels is None else labels
        self._num_trials = len(experiments) if num_trials is None else num_trials
        self._numbers: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._num_complete, done = 0, {}
        for key, config, lines in earlier:
            self._num_complete += key not in experiments
            done[key] = len(lines)
            for line in lines:
                self._note_best(config, line)
        to_run = self._num_trials - self._num_complete
        self._time_left = TimeLeft(experiments, concurrent=concurrent, done=done, num_trials=to_run, clock=clock)

    def scheduled(self, experiment_id: str) -> None:
        """An experiment got a slot to run in."""
        self._time_left.scheduled(experiment_id)

    def started(self, experiment_id: str, seconds: float) -> None:
        """Algorithm 1 began in an experiment, `seconds` after a slot became free for it."""
        self._time_left.started(experiment_id, seconds)

    def iteration(self, experiment_id: str, line: IterationRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        config = self._experiments[experiment_id]
        self._time_left.iteration(experiment_id, line)
        best = self._note_best(config, line)
        self._say(
            experiment_id,
            f"iteration {line['iteration'] + 1}/{config.resolved_scenario.iterations(config.iterations)}"
            f"  interactions {line['interactions']:,}  {_annotated(config, line)}"
            f"  accuracy {line['test_accuracy']:.3f}{_doubts(line)}{best}  {self._left()}",
        )

    def ended(self, experiment_id: str, error: str | None) -> None:
        """An experiment ended, perhaps before its last iteration and perhaps with an error."""
        self._time_left.ended(experiment_id)
        if error is not None:
            self._say(experiment_id, f"failed: {error.partition(chr(10))[0]}")

    def stopped(self, experiment_id: str, reason: str) -> None:
        """An experiment was stopped before its last iteration; `reason` is the scheduler's name, such as `asha`."""
        self._time_left.ended(experiment_id)
        self._say(experiment_id, f"stopped early by {reason}")

    def _say(self, experiment_id: str, words: str) -> None:
        number = self._numbers.setdefault(experiment_id, self._num_complete + len(self._numbers) + 1)
        total = max(self._num_trials, number)
        begin = f"trial {number:>{len(str(total))}}/{total}"
        print(f"{begin}  {named(self._experiments, self._labels)[experiment_id]}  {words}", flush=True)

    def _note_best(self, config: ExperimentConfig, line: IterationRecord) -> str:
        """Remember an accuracy if it is the best for its dataset, and return the words for the best so far."""
        dataset = config.dataset.model_dump_json()
        if not config.resolved_scenario.whole_pool:
            self._best[dataset] = max(self._best.get(dataset, 0.0), line["test_accuracy"])
        return f"  best so far {self._best[dataset]:.3f}" if dataset in self._best else ""

    def _left(self) -> str:
        seconds = self._time_left.seconds()
        return "all done" if seconds is None else f"about {duration(seconds)} left"


def _annotated(config: ExperimentConfig, line: IterationRecord) -> str:
    """How many images have a label from the expert, and what happens to the labels of clusters after the iteration."""
    if not config.resolved_scenario.forms_clusters:
        return f"annotated {line['annotated']:,}"
    in_clusters = f"labeled {line['labeled']:,} alone, {line['cluster_labeled']:,} in clusters"
    return f"{in_clusters} ({'kept' if config.keep_cluster_labels else 'this iteration only'})"


def named(experiments: Iterable[str], labels: Mapping[str, str]) -> dict[str, str]:
    """The first columns of a line about each experiment: its id and, if it has one, its label."""
    ids = list(experiments)
    width, label_width = (max(map(len, texts), default=0) for texts in (ids, [labels.get(key, "") for key in ids]))
    if not label_width:
        return {key: f"{key:{width}}" for key in ids}
    return {key: f"{key:{width}}  {labels.get(key, ''):{label_width}}" for key in ids}


def _doubts(line: IterationRecord) -> str:
    """The reasons to doubt an accuracy, in parentheses, to be printed after the accuracy; empty if there is no
    reason."""
    doubts = ["no better than guessing"] if is_at_chance(line) else []
    doubts += ["the training loss has not fallen"] if loss_has_not_fallen(line) else []
    return f" ({', '.join(doubts)})" if doubts else ""


def duration(seconds: float) -> str:
    """Seconds in the units a person would use: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
