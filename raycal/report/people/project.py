"""What is known about a project that people labeled: its rounds, the time that people spent, and their prices.

All values are those at the time when the newest finished round was closed, so that the report of the same rounds is the
same.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Kind
from raycal.config.people import asks_people
from raycal.data.image_dataset import noun_of_dataset
from raycal.people.answer_files import Role, role_of
from raycal.people.clock import answer_ms
from raycal.people.events import Answered, Event, Purpose
from raycal.people.fold import Book, book_when_closed
from raycal.people.gold_results import FirstAnswers, GoldResults
from raycal.people.log import read_events
from raycal.people.paired import PairedGain
from raycal.people.prices import Prices, fit_prices, timed_answers
from raycal.people.progress import Progress, read_progress
from raycal.people.purity import QualityOfClusters, quality_of_clusters
from raycal.people.quality import Quality, quality_of
from raycal.people.results import wilson_interval
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import Rule, read_rules, rule_of
from raycal.report.runs import Runs, Trial
from raycal.storage.folder import Folder
from raycal.storage.results import IterationRecord
from raycal.storage.run_dir import RunDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The state after one round.

    Attributes:
        number: The number of the round, from 1.
        answers: The number of answers of all rounds so far.
        minutes: The time that these answers took.
        annotated: The number of samples that the model was trained with.
        num_test: The number of test samples with a label. None if it is not known.
        accuracy: The share of the test samples that the model gets right. None without a test sample.
        low, high: The 95 % interval of the accuracy by Wilson. None if it is not known.
        gain: The comparison with the round before on the same test samples. None if it is not known.
    """

    number: int
    answers: int
    minutes: float
    annotated: int
    num_test: int | None
    accuracy: float | None
    low: float | None
    high: float | None
    gain: PairedGain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The answers of one kind, and the time that they took."""

    purpose: Purpose
    kind: Kind
    role: Role
    answers: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelingProject:
    """A project that people labeled.

    Attributes:
        trial: The experiment.
        rounds: Its finished rounds.
        spent: The answers that were given before the last of these rounds was closed. Empty if the log of answers is
            missing.
        prices: What an answer of the team costs. None if the log of answers is missing.
        num_people: The number of people who answered.
        progress: What the rounds gained, what another round probably gains, and what the stopping rules say. None
            before the end of the first round.
        quality: What checks and second opinions say about the labels.
        class_names: The classes that people named; empty if the dataset came with its classes.
        purity: What probes say about the labels of clusters. None if no answer says anything about one.
        first_answers: How often the first answers of newcomers agree with known labels, by pseudonym.
        ended_by: The stopping rule by which the project ended by itself. None if it did not.
    """

    trial: Trial
    rounds: tuple[Round, ...]
    spent: tuple[Spent, ...]
    prices: Prices | None
    num_people: int
    progress: Progress | None = None
    quality: Quality = field(default_factory=Quality)
    class_names: tuple[str, ...] = ()
    first_answers: Mapping[str, FirstAnswers] = field(default_factory=dict)
    ended_by: Rule | None = None
    purity: QualityOfClusters | None = None

    @property
    def noun(self) -> str:
        """The word for one sample, such as `image`."""
        return noun_of(self.trial)


def noun_of(*trials: Trial) -> str:
    """The word for one sample of these trials, such as `image`; `sample` if they have samples of different kinds."""
    nouns = {noun_of_dataset(trial.config.dataset.name) for trial in trials}
    return nouns.pop() if len(nouns) == 1 else "sample"


def is_labeled_by_people(runs: Runs) -> bool:
    """Whether people answered in all trials, so that no trial is a simulation to compare with."""
    return bool(runs.trials) and all(asks_people(trial.config) for trial in runs.trials)


def read_projects(runs: Runs) -> list[LabelingProject]:
    """The projects of these runs."""
    return [_read(trial) for trial in runs.trials]


def _read(trial: Trial) -> LabelingProject:
    folder = Folder.at(trial.folder) if trial.folder else None
    events = [] if folder is None else read_events(folder)
    environment = {} if folder is None else RunDir(folder).environment()
    progress = None if folder is None else _progress(trial, folder, events, environment)
    gains = {} if progress is None else {one.iteration: one.gain for one in progress.rounds}
    rounds = tuple(
        replace(_round(line, events, environment), gain=gains.get(line["iteration"])) for line in trial.lines
    )
    if not events or not rounds:
        return LabelingProject(trial=trial, rounds=rounds, spent=(), prices=None, num_people=0)
    book = book_when_closed(events, trial.lines[-1]["iteration"])
    return LabelingProject(
        trial=trial,
        rounds=rounds,
        spent=tuple(_spent(book)),
        prices=fit_prices(timed_answers(book)),
        num_people=len({given.event.who for given in book.all_answers()}),
        progress=progress,
        quality=Quality() if folder is None else quality_of(book, _steps(folder, trial.lines[-1]["iteration"])),
        class_names=book.classes,
        first_answers=GoldResults(book.events.values()).by_person,
        ended_by=None if folder is None else rule_of(RunDir(folder).reason()),
        purity=None if folder is None else _purity(book, folder),
    )


def _steps(folder: Folder, iteration: int) -> list[StepQuestions]:
    """The steps up to the end of a round."""
    return [step for step in StepFiles(folder.folder(STEPS)).read_all() if step.iteration <= iteration]


def _progress(trial: Trial, folder: Folder, events: Sequence[Event], environment: Mapping[str, Any]) -> Progress | None:
    scenario = trial.config.resolved_scenario
    return read_progress(
        folder,
        num_test=lambda iteration: _num_test(iteration, events, environment) or 0,
        labels=lambda iteration: book_when_closed(events, iteration).holdout(),
        rules=read_rules(folder),
        total_rounds=scenario.iterations(trial.config.iterations),
        noun=noun_of(trial),
    )


def _purity(book: Book, folder: Folder) -> QualityOfClusters | None:
    has_probes = any(isinstance(event, Answered) and event.probes for event in book.events.values())
    return quality_of_clusters(book, StepFiles(folder.folder(STEPS)).read_all()) if has_probes else None


def _num_test(iteration: int, events: Iterable[Event], environment: Mapping[str, Any]) -> int | None:
    """The number of test samples on which a round was measured. None if it is not known.

    If people label the test samples, these are the samples that had a label when the round was closed.
    """
    by_people = len(book_when_closed(events, iteration).holdout())
    return by_people or environment.get("dataset", {}).get("num_test")


def _round(line: IterationRecord, events: Iterable[Event], environment: Mapping[str, Any]) -> Round:
    num_test = _num_test(line["iteration"], events, environment)
    accuracy = line["test_accuracy"]
    is_known = accuracy is not None and math.isfinite(accuracy)
    low, high = (wilson_interval(accuracy, num_test or 0) if is_known else None) or (None, None)
    return Round(
        number=line["iteration"] + 1,
        answers=line["interactions"],
        minutes=line["human_seconds"] / 60,
        annotated=line["annotated"],
        num_test=num_test,
        accuracy=accuracy if is_known else None,
        low=low,
        high=high,
    )


def _spent(book: Book) -> list[Spent]:
    sums: dict[tuple[Purpose, Kind, Role], list[int]] = {}
    for given in book.all_answers():
        event = given.event
        sums.setdefault((event.purpose, event.kind, role_of(book, given)), []).append(answer_ms(event))
    order = {each: number for number, each in enumerate((*Purpose, *Kind, *Role))}
    return [
        Spent(purpose=key[0], kind=key[1], role=key[2], answers=len(sums[key]), seconds=sum(sums[key]) / 1000)
        for key in sorted(sums, key=lambda key: [order[part] for part in key])
    ]
