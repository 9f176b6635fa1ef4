"""Estimates how long a running sweep will still take, from the iterations that have finished so far."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean, median
from time import monotonic

from raycal.config import ExperimentConfig
from raycal.storage.results import SECONDS, IterationRecord

# If a new estimate ends later than the one before by at most this share, the difference counts as noise, and the
# earlier end is kept.
NOISE = 0.3


@dataclass(frozen=True, slots=True)
class _Measured:
    """A finished iteration: its seconds for training and for everything else, and the images with a label."""

    training: float
    other: float
    labeled: int
    annotated: int
    pool: int
    is_supervised: bool


class TimeLeft:
    """Estimates the seconds until the last trial ends.

    An iteration that has not run is expected to take as long as the same iteration of similar trials. The most similar
    trials have the same scenario, data, network and training; the next most similar trials differ in the scenario, and
    the least similar trials have only the scenario in common. If no similar trial has reached the iteration, its time
    is estimated from the nearest iteration that a similar trial has reached. The time for training is scaled with the
    number of labels if the length of a training is counted in epochs. The trials are then laid out over the concurrent
    slots.

    Args:
        experiments: The experiments to run, in the order of their start. More may be added later.
        concurrent: How many experiments run at a time.
        done: The number of iterations that an earlier start has finished, by experiment id.
        num_trials: How many experiments there will be, if more will be added to `experiments`.
        clock: Returns the current time in seconds.
    """

    def __init__(
        self,
        experiments: Mapping[str, ExperimentConfig],
        *,
        concurrent: int,
        done: Mapping[str, int],
        num_trials: int = 0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._experiments, self._concurrent, self._clock = experiments, concurrent, clock
        self._num_trials, self._done = num_trials, dict(done)
        self._ended: set[str] = set()
        self._measured: dict[tuple[str, ...], dict[int, list[_Measured]]] = defaultdict(lambda: defaultdict(list))
        # Seconds between two iterations of a trial, in addition to the seconds of the iterations themselves.
        self._overheads: list[float] = []
        self._starts: list[float] = []
        self._has_started: set[str] = set()
        self._last_event: dict[str, float] = {}
        self._known_groups: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._end: float | None = None

    def scheduled(self, experiment_id: str) -> None:
        """An experiment got a slot to run in."""
        self._last_event[experiment_id] = self._clock()

    def started(self, experiment_id: str, seconds: float) -> None:
        """Note that Algorithm 1 began in an experiment, `seconds` seconds after the experiment had got a slot. This
        method may be called some time after Algorithm 1 began.
        """
        self._starts.append(seconds)
        self._has_started.add(experiment_id)
        if experiment_id in self._last_event:
            self._last_event[experiment_id] += seconds

    def iteration(self, experiment_id: str, line: IterationRecord) -> None:
        """An iteration was saved; `line` is its line of results.jsonl."""
        config, now = self._experiments[experiment_id], self._clock()
        seconds = sum(line[phase] for phase in SECONDS)
        if (before := self._last_event.get(experiment_id)) is not None:
            self._overheads.append(max(0.0, now - before - seconds))
        self._last_event[experiment_id] = now
        self._has_started.add(experiment_id)
        self._done[experiment_id] = line["iteration"] + 1
        measured = _Measured(
            training=line["train_seconds"],
            other=seconds - line["train_seconds"],
            labeled=line["labeled"],
            annotated=line["annotated"],
            pool=line["annotated"] + line["unlabeled"],
            is_supervised=config.resolved_scenario.whole_pool,
        )
        for group in self._groups(experiment_id):
            self._measured[group][line["iteration"]].append(measured)

    def ended(self, experiment_id: str) -> None:
        """An experiment ended, perhaps before its last iteration."""
        self._ended.add(experiment_id)

    def seconds(self) -> float | None:
        """The estimated seconds until the last trial ends; None when no iteration is left to run.

        While trials go on as before, each estimate ends no later than the one before it. Only an estimate that ends
        clearly later replaces it.
        """
        now, makespan = self._clock(), self._makespan()
        if makespan is None:
            return None
        if self._end is None or now + makespan < self._end or makespan > (1 + NOISE) * (self._end - now):
            self._end = now + makespan
        return self._end - now

    def of_each(self) -> dict[str, float]:
        """For each experiment with iterations left, the estimated seconds that it still needs while it runs."""
        later_overheads = self._overheads[self._concurrent :]  # The first iteration of each process includes imports.
        overhead = median(later_overheads) if later_overheads else 0.0
        # The first trial of a slot also starts the processes of the slot.
        later_starts = self._starts[self._concurrent :]
        start = median(later_starts) if later_starts else 0.0
        known: dict[tuple[tuple[str, ...], int], float] = {}
        seconds: dict[str, float] = {}
        for key, config in self._experiments.items():
            first, total = self._done.get(key, 0), config.resolved_scenario.iterations(config.iterations)
            if key in self._ended or first >= total:
                continue
            group = self._groups(key)[0]
            for iteration in range(first, total):
                if (group, iteration) not in known:
                    known[group, iteration] = self._expected(key, iteration) + overhead
            steps = [known[group, iteration] for iteration in range(first, total)]
            if key not in self._has_started:
                steps[0] += start
            if key in self._last_event:  # A part of the running iteration, or of the start, is over.
                steps[0] = max(0.0, steps[0] - (self._clock() - self._last_event[key]))
            seconds[key] = sum(steps)
        return seconds

    def _makespan(self) -> float | None:
        """The seconds until the last slot is free, if each slot takes the next trial when it is free."""
        trials = list(self.of_each().values())
        unknown = self._num_trials - len(self._experiments)
        if unknown > 0:
            trials += [max(trials, default=0.0)] * unknown
        slots = [0.0] * self._concurrent
        for seconds in trials:
            heapq.heapreplace(slots, slots[0] + seconds)
        return max(slots) if trials else None

    def _expected(self, experiment_id: str, iteration: int) -> float:
        """The seconds that an iteration will take, without the overhead."""
        for group in self._groups(experiment_id):
            if by_iteration := self._measured.get(group):
                config = self._experiments[experiment_id]
                nearest = min(by_iteration, key=lambda other: (abs(other - iteration), other))
                return fmean(_scaled(each, config, iteration, nearest) for each in by_iteration[nearest])
        return 0.0

    def _groups(self, experiment_id: str) -> tuple[tuple[str, ...], ...]:
        if experiment_id not in self._known_groups:
            self._known_groups[experiment_id] = _groups(self._experiments[experiment_id])
        return self._known_groups[experiment_id]


def _scaled(measured: _Measured, config: ExperimentConfig, iteration: int, measured_at: int) -> float:
    """The expected seconds of an iteration of an experiment, scaled from a measured iteration."""
    is_supervised = config.resolved_scenario.whole_pool
    like = is_supervised == measured.is_supervised
    if config.training.stop != "epochs" or not measured.annotated or (like and iteration == measured_at):
        return measured.training + measured.other
    if is_supervised:
        expected = measured.pool
    elif measured.is_supervised:
        expected = config.interactions_per_iteration * (iteration + 1)
    # Labels of single images add up over the iterations. Labels of clusters are given anew in every iteration, unless
    # they are kept.
    else:
        growing = measured.annotated if config.keep_cluster_labels else measured.labeled
        expected = measured.annotated + round(growing * ((iteration + 1) / (measured_at + 1) - 1))
    return measured.training * min(expected, measured.pool) / measured.annotated + measured.other


def _groups(config: ExperimentConfig) -> tuple[tuple[str, ...], ...]:
    """The names of the groups of similar trials that an experiment belongs to, the most similar first."""
    scenario = config.resolved_scenario.name
    work = (
        config.dataset.model_dump_json(),
        config.model.model_dump_json(),
        config.training.model_dump_json(),
        str(config.interactions_per_iteration),
        str(config.iterations),
    )
    return ((scenario, *work), ("", *work), (scenario,), ())
