"""What the events of the log mean together: classes, replies, labels of the hold-out, and the time that people spent.

Everything here is a function of the events alone. The server applies each event as it happens, the worker applies all
of them at once, and both get the same `Book`. An event whose id is known changes nothing, so a log may hold an event
twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Indices
from raycal.people.clock import answer_ms
from raycal.people.events import Answered, ClassAdded, ClassRenamed, Closed, Event, GivenAnswer, Purpose, Undone

HOLDOUT = "h"


class Arrival(StrEnum):
    """How an answer counted when it arrived."""

    FIRST = "first"
    SECOND = "second"
    LATE = "late"


@dataclass(slots=True, eq=False)
class Given:
    """An answer, and what has become of it.

    Attributes:
        arrival: `FIRST` if the question had no answer yet. `SECOND` if the question had one already, which makes this
            answer a second opinion. `LATE` if the step was closed already; no ledger contains a late answer.
        undone_at: The place in the log of the event that took the answer back. None if the answer stands.
    """

    event: Answered
    arrival: Arrival
    undone_at: int | None = None


class Book:
    """The meaning of the events so far.

    Attributes:
        events: All events by their ids, in their order.
        late: The answers that arrived after their step was closed.
        milliseconds: The time that people spent, by purpose and person. It includes answers that were taken back, late
            answers and second opinions, because this time was spent, too.

    Args:
        class_names: The classes that the dataset has from the beginning.
    """

    def __init__(self, class_names: Sequence[str] = ()) -> None:
        self.events: dict[str, Event] = {}
        self.late: list[Answered] = []
        self.milliseconds: dict[tuple[Purpose, str], int] = {}
        self._classes = list(class_names)
        self._given: dict[str, list[Given]] = {}
        self._by_id: dict[str, Given] = {}
        self._by_person: dict[str, list[Given]] = {}
        self._closed: dict[tuple[int, int | None], int] = {}
        self._last_seq = 0

    def apply(self, event: Event) -> bool:
        """Add the next event of the log; False if its id is known, so that nothing changed."""
        if event.id in self.events:
            return False
        self.events[event.id] = event
        self._last_seq = max(self._last_seq, event.seq)
        match event:
            case Answered():
                self._apply_answer(event)
            case Undone():
                self._apply_undo(event)
            case ClassAdded():
                if event.label == len(self._classes):
                    self._classes.append(event.name)
            case ClassRenamed():
                if 0 <= event.label < len(self._classes):
                    self._classes[event.label] = event.name
            case Closed():
                self._closed.setdefault((event.iteration, event.step), event.seq)
        return True

    @property
    def last_seq(self) -> int:
        """The place of the last event, from 1; 0 in an empty log."""
        return self._last_seq

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by their ids."""
        return tuple(self._classes)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self._classes)

    @property
    def closed(self) -> Mapping[tuple[int, int | None], int]:
        """The place of each event that closed a step or a round, by the iteration and the step. The step is None for a
        round."""
        return self._closed

    def closed_at(self, iteration: int, step: int) -> int | None:
        """The place of the event that closed the step or its whole round. None if the step is open."""
        places = [self._closed[key] for key in ((iteration, step), (iteration, None)) if key in self._closed]
        return min(places, default=None)

    def round_closed_at(self, iteration: int) -> int | None:
        """The place of the event that closed the round or, while the round is open, of the event that closed its last
        closed step. None if no step was closed."""
        whole = self._closed.get((iteration, None))
        if whole is not None:
            return whole
        return max((seq for (number, _), seq in self._closed.items() if number == iteration), default=None)

    def answers(self, question: str) -> Sequence[Given]:
        """All answers to a question by their place in the log."""
        return self._given.get(question, ())

    @property
    def questions(self) -> Sequence[str]:
        """The ids of all questions that anybody has answered."""
        return tuple(self._given)

    def all_answers(self) -> list[Given]:
        """All answers to all questions by their place in the log."""
        return sorted((one for given in self._given.values() for one in given), key=lambda one: one.event.seq)

    def given(self, answer: str) -> Given | None:
        """The answer with this id."""
        return self._by_id.get(answer)

    def counted(self, question: str, as_of: int | None = None) -> Answered | None:
        """The answer that counts: the first one that was not taken back, and that arrived before its step was closed.

        Args:
            as_of: The last place in the log to consider. None means the end of the log.
        """
        for one in self._given.get(question, ()):
            if as_of is not None and one.event.seq > as_of:
                return None
            is_undone = one.undone_at is not None and (as_of is None or one.undone_at <= as_of)
            if one.arrival is not Arrival.LATE and not is_undone:
                return one.event
        return None

    def reply(self, question: Question) -> Reply | None:
        """The reply to a question about the pool, with the time of the answers that were taken back before it."""
        event = self.counted(question.id)
        if event is None:
            return None
        undone = (one.event for one in self._given[question.id] if one.undone_at is not None)
        seconds = (answer_ms(event) + sum(map(answer_ms, undone))) / 1000
        if event.answer is not GivenAnswer.LABEL:
            halves = question.halves([np.array(part, np.int64) for part in event.halves])
            return Reply(label=None, halves=halves, seconds=seconds)
        part = _without(question.indices, event.marked) if event.marked else None
        if part is not None and not len(part):
            return Reply(label=None, seconds=seconds)
        return Reply(label=event.label, part=part, seconds=seconds)

    def replies(self, step: StepQuestions) -> dict[str, Reply]:
        """The replies to the questions of a step and to the halves of its split clusters, by the ids of questions."""
        found: dict[str, Reply] = {}
        # `known` yields a question before its halves. When it yields the halves, `found` already has the reply to the
        # question.
        for question in step.known(found):
            reply = self.reply(question)
            if reply is not None:
                found[question.id] = reply
        return found

    def holdout(self, as_of: int | None = None) -> dict[int, int]:
        """The labels of the hold-out by position in the test split.

        Args:
            as_of: The last place in the log to consider, such as the one at which a round was closed. None means the
                end of the log.
        """
        found = {}
        for question in self._given:
            if holdout_position(question) is not None:
                event = self.counted(question, as_of)
                if event is not None and event.label is not None:
                    found[int(question[len(HOLDOUT) + 1 :])] = event.label
        return dict(sorted(found.items()))

    @property
    def second_opinions(self) -> dict[str, tuple[Answered, ...]]:
        """The answers to a question besides the answer that counts. Late answers, and answers that were taken back, are
        left out.
        """
        found = {}
        for question, given in self._given.items():
            if len(given) > 1:
                counted = self.counted(question)
                standing = (one.event for one in given if one.arrival is not Arrival.LATE and one.undone_at is None)
                if others := tuple(event for event in standing if event is not counted):
                    found[question] = others
        return found

    @property
    def seconds(self) -> dict[tuple[Purpose, str], float]:
        """The time that people spent, in seconds, by purpose and person."""
        return {key: milliseconds / 1000 for key, milliseconds in self.milliseconds.items()}

    def last_answer_of(self, who: str) -> Given | None:
        """The newest answer of a person that was not taken back."""
        given = self._by_person.get(who)
        return given[-1] if given else None

    def is_closed(self, question: str) -> bool:
        """Whether the step of a question is closed. The hold-out is always open."""
        place = step_of(question)
        return place is not None and self.closed_at(*place) is not None

    def _apply_answer(self, event: Answered) -> None:
        if self.is_closed(event.question):
            arrival = Arrival.LATE
            self.late.append(event)
        else:
            arrival = Arrival.FIRST if self.counted(event.question) is None else Arrival.SECOND
        given = Given(event, arrival)
        self._given.setdefault(event.question, []).append(given)
        self._by_id[event.id] = given
        self._by_person.setdefault(event.who, []).append(given)
        key = event.purpose, event.who
        self.milliseconds[key] = self.milliseconds.get(key, 0) + answer_ms(event)

    def _apply_undo(self, event: Undone) -> None:
        given = self._by_id.get(event.answer)
        # The answers of a closed step may be in a ledger, which does not change any more.
        if given is None or given.undone_at is not None or self.is_closed(given.event.question):
            return
        given.undone_at = event.seq
        by_person = self._by_person[given.event.who]
        while by_person and by_person[-1].undone_at is not None:
            by_person.pop()


def fold(events: Iterable[Event], class_names: Sequence[str] = ()) -> Book:
    """The meaning of a log, whose events may come in any order and more than once.

    Args:
        class_names: The classes that the dataset has from the beginning.
    """
    book = Book(class_names)
    for event in sorted(events, key=lambda event: event.seq):
        book.apply(event)
    return book


def book_when_closed(events: Iterable[Event], iteration: int) -> Book:
    """What the log meant at the end of a round or, while the round is open, at the end of its last closed step.

    What people do while a model trains belongs to the next round, so a training that is repeated after a crash gives
    the same model.
    """
    known = list(events)
    closed = [event.seq for event in known if isinstance(event, Closed) and event.iteration <= iteration]
    last = max(closed, default=0)
    return fold(event for event in known if event.seq <= last)


def step_of(question: str) -> tuple[int, int] | None:
    """The iteration and the step of a question about the pool. None for a question of the hold-out."""
    parts = question.split(".", 2)
    return (int(parts[0]), int(parts[1])) if len(parts) == 3 else None


def holdout_position(question: str) -> int | None:
    """The position in the test split of a question of the hold-out. None for a question about the pool."""
    name, _, position = question.partition(".")
    return int(position) if name == HOLDOUT else None


def _without(indices: Indices, marked: Sequence[int]) -> Indices:
    """The samples that are not marked."""
    kept: Indices = np.setdiff1d(indices, np.array(marked, np.int64), assume_unique=True)
    return kept
