"""Chooses the gold questions: samples whose label is known, with which a newcomer begins.

A newcomer is a person who has answered nothing else, in a project in which other people have labeled. After each answer
the newcomer is told whether it agrees with the known label, and so learns how the others label. The answers are in no
step, so no ledger, no training and no export sees them.

A label is known if two people gave it to the sample alone and nobody gave another one. In the hold-out, a label that
only the owner gave is known, too, but comes after the others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import zip_longest

from raycal.algorithm.records import Kind
from raycal.people.board import Board
from raycal.people.check_ids import Check, check_of
from raycal.people.events import Answered, Event, KnownLabel, Purpose, Undone
from raycal.people.fold import Arrival
from raycal.people.incoming import RefusedError

# The pseudonym of the owner, who is never a newcomer.
OWNER = "owner"
# With fewer known samples, newcomers begin like everybody else.
FEWEST = 5
# Each newcomer has gold questions of his or her own, so the number of a question also says whose it is.
_PERSONS = 10**8


def gold_check(answer: int, who: str) -> Check:
    """The gold question of a person about the single sample that an answer was about.

    Args:
        answer: The place of the answer in the log.
    """
    return Check(Purpose.GOLD, answer * _PERSONS + _hash(who) % _PERSONS)


class GoldQuestions:
    """The gold questions of a project.

    Args:
        board: The answers so far. After each event, `note` must be called when the board has it.
        most: The number of gold questions of a newcomer. 0 means that there are none.
        seed: The seed of the project, which with the person decides which samples are asked.
    """

    def __init__(self, board: Board, most: int, seed: int) -> None:
        self._board, self._most, self._seed = board, most, seed
        self._first_person: str | None = None
        # The people who began with another question, and the newest gold answer of each of the others.
        self._experienced: set[str] = {OWNER}
        self._newest: dict[str, Answered] = {}
        # The samples that each person was asked.
        self._told: dict[str, set[str]] = defaultdict(set)
        # The question that each answer about a single sample was about, and the first answer to each question.
        self._question: dict[int, str] = {}
        self._answer: dict[str, int] = {}
        self._checks: dict[str, set[str]] = defaultdict(set)
        # The label of each known sample, and how many people gave it.
        self._known: dict[str, tuple[int, int]] = {}

    def note(self, event: Event) -> None:
        """Take account of an event that the board has."""
        if isinstance(event, Undone):
            given = self._board.book.given(event.answer)
            question = None if given is None else self._question.get(given.event.seq)
            if question is not None:
                self._update(question)
        elif isinstance(event, Answered):
            self._note_answer(event)

    def _note_answer(self, event: Answered) -> None:
        check = check_of(event.question)
        if check is not None and check.purpose is Purpose.GOLD:
            if self.exists(check):
                self._told[event.who].add(self.original(check))
            if event.known is not None:
                self._newest[event.who] = event
            return
        self._first_person = self._first_person or event.who
        if event.who not in self._newest:  # who has begun with gold questions gets the rest of them, too
            self._experienced.add(event.who)
        # The number of an audit and of a look again is a sample, and not the place of an answer.
        if event.kind is not Kind.SAMPLE or (check and check.purpose in (Purpose.AUDIT, Purpose.LOOK_AGAIN)):
            return
        question = event.question if check is None else self._question.get(check.number)
        if question is None:
            return
        if check is not None:
            self._checks[question].add(event.question)
        self._question[event.seq] = question
        self._answer.setdefault(question, event.seq)
        self._update(question)

    def exists(self, check: Check) -> bool:
        """Whether this is a gold question about a sample that somebody has answered about."""
        return check.number // _PERSONS in self._question

    def original(self, check: Check) -> str:
        """The id of the question of a round or of the hold-out that asked about the same sample."""
        return self._question[check.number // _PERSONS]

    def is_waiting(self, check: Check, who: str) -> bool:
        """Whether an existing gold question, which nobody has answered, is for this person, and its label is known."""
        return self._is_for(check, who) and self._num_left(who) > 0 and self.original(check) in self._known

    def agree_about(self, question: str) -> bool | None:
        """Whether the people who labeled the sample of a question alone agree. None if fewer than two did."""
        labels = self._labels(question)
        return None if len(labels) < 2 else len(set(labels.values())) == 1

    def was_told(self, who: str, question: str) -> bool:
        """Whether a person was told the label of a sample, so that another answer would not be the person's own."""
        return question in self._told.get(who, ())

    def due(self, who: str, leased: Collection[str]) -> list[str]:
        """The gold questions that a person still has to answer, with those that pages of this person have already.

        Args:
            leased: The ids of all questions that pages have.
        """
        left = self._num_left(who)
        if left <= 0:
            return []
        on_pages = [one for one in leased if (check := check_of(one)) is not None and self.is_waiting(check, who)]
        due = dict.fromkeys(on_pages)
        for question in self._in_order(who):
            if len(due) >= left:
                break
            if not self.was_told(who, question):
                due[gold_check(self._answer[question], who).id] = None
        return list(due)[:left]

    def known_to(self, who: str, check: Check) -> KnownLabel | None:
        """What is known about the sample of an existing question that a person answers. None if its label is not known
        any more.

        Raises:
            RefusedError: The question is for another person, or it is answered.
        """
        if self._board.book.counted(check.id) is not None:
            raise RefusedError("You have answered this question already, and were told the known label.")
        if not self._is_for(check, who):
            raise RefusedError("This question does not exist any more; reload the page.")
        question = self.original(check)
        if question not in self._known:
            return None
        others = sum(one != question and not self.was_told(who, one) for one in self._known)
        return KnownLabel(*self._known[question], left=max(0, min(self._num_left(who) - 1, others)))

    def _num_left(self, who: str) -> int:
        """The number of gold questions that a person still has to answer."""
        if who in self._experienced:
            return 0
        if who in self._newest:
            known = self._newest[who].known
            return 0 if known is None else min(known.left, self._most)
        return min(self._most, len(self._known)) if len(self._known) >= min(FEWEST, self._most) else 0

    def _is_for(self, check: Check, who: str) -> bool:
        return self.exists(check) and gold_check(check.number // _PERSONS, who) == check

    def _in_order(self, who: str) -> Iterator[str]:
        """All known samples in the order in which a person is asked: one of each class, then another of each class."""
        by_class = defaultdict[int, list[str]](list)
        for question, (label, _) in self._known.items():
            by_class[label].append(question)

        def place(question: str) -> tuple[bool, bool, int]:
            # The guidelines show examples of the pool, so samples of the hold-out come first.
            is_in_pool = self._board.find_in_holdout(question) is None
            return self._known[question][1] < 2, is_in_pool, self._hash(f"{who}.{question}")

        columns = (
            sorted(by_class[label], key=place)
            for label in sorted(by_class, key=lambda label: self._hash(f"{who}.class.{label}"))
        )
        for row in zip_longest(*columns):
            yield from (one for one in row if one is not None)

    def _update(self, question: str) -> None:
        """Find out whether the label of a sample is known, after an answer about it was given or taken back."""
        self._known.pop(question, None)
        labels = self._labels(question)
        if len(set(labels.values())) != 1:
            return
        is_of_owner = bool(labels.keys() & {OWNER, self._first_person})
        if len(labels) > 1 or (is_of_owner and self._board.find_in_holdout(question) is not None):
            self._known[question] = next(iter(labels.values())), len(labels)

    def _labels(self, question: str) -> dict[str, int]:
        """The first label that each person gave to a sample alone."""
        book, labels = self._board.book, dict[str, int]()
        for given in book.answers(question):
            event = given.event
            if given.undone_at is None and given.arrival is not Arrival.LATE and event.label is not None:
                labels.setdefault(event.who, event.label)
        for check in self._checks.get(question, ()):
            counted = book.counted(check)
            if counted is not None and counted.label is not None:
                labels.setdefault(counted.who, counted.label)
        return labels

    def _hash(self, text: str) -> int:
        return _hash(f"{self._seed}.gold.{text}")


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
