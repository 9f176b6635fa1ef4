"""Keeps track of which questions are answered, which are waiting, and which labels the answers give.

This state follows from the events of the log and the questions of all steps. Each event updates the state, so a call
takes no longer when the log is longer.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.people.class_names import same_class_key
from raycal.people.clock import answer_ms
from raycal.people.events import Answered, ClassAdded, ClassRenamed, Event, Purpose, Undone
from raycal.people.fold import HOLDOUT, Book, holdout_position, step_of
from raycal.people.gold_results import GoldResults
from raycal.people.probe_results import ProbeResults

# Values that arrays of labels hold besides the ids of classes.
NO_LABEL, UNANSWERED = -1, -2
# The number of newest answers from which the time of the next answers is estimated.
NUM_RECENT = 50

LabelArray = npt.NDArray[np.int32]


class StepBoard:
    """The questions and the replies of one step, and the labels that the replies give.

    Args:
        labels: (P,) The labels of the pool, which the replies change.
    """

    def __init__(self, step: StepQuestions, book: Book, labels: LabelArray) -> None:
        self.step = step
        self.questions = {question.id: question for question in step.first}
        self.replies: dict[str, Reply] = {}
        self._book, self._labels = book, labels
        self._replaced: dict[str, tuple[Indices, LabelArray]] = {}
        self._waiting: list[Question] | None = None
        for question in step.first:
            self._add_reply(question)

    @property
    def is_closed(self) -> bool:
        """Whether the step takes no more answers."""
        return self._book.closed_at(self.step.iteration, self.step.step) is not None

    @property
    def left(self) -> int:
        """How many questions may still be answered."""
        return max(0, self.step.budget - len(self.replies))

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to answer."""
        return self.left == 0 or not self.waiting()

    @property
    def num_labeled(self) -> int:
        """The number of replies that give a label."""
        return sum(reply.label is not None for reply in self.replies.values())

    def waiting(self) -> Sequence[Question]:
        """The questions without a reply in the order in which to ask them: halves of split clusters come first.

        There may be more waiting questions than people may still answer within the budget.
        """
        if self._waiting is None:
            without = [one for one in self.step.known(self.replies) if one.id not in self.replies]
            halves = [one for one in without if is_half(one)]
            self._waiting = halves + [one for one in without if not is_half(one)] if halves else without
        return self._waiting

    def refresh(self, question_id: str) -> None:
        """Update the reply to a question after an answer to it was given or taken back."""
        question = self.questions.get(question_id)
        if question is None:  # a half of a cluster whose split was taken back
            return
        self._remove_reply(question_id)
        self._add_reply(question)
        self._waiting = None

    def _add_reply(self, question: Question) -> None:
        reply = self._book.reply(question)
        if reply is None:
            return
        self.replies[question.id] = reply
        if reply.label is not None:
            indices = question.by_distance if reply.part is None else reply.part
            self._replaced[question.id] = indices, self._labels[indices]
            self._labels[indices] = reply.label
        for half in reply.halves:
            self.questions[half.id] = half
            self._add_reply(half)

    def _remove_reply(self, question_id: str) -> None:
        reply = self.replies.pop(question_id, None)
        if reply is None:
            return
        for half in reply.halves:
            self._remove_reply(half.id)
            del self.questions[half.id]
        replaced = self._replaced.pop(question_id, None)
        if replaced is not None:
            indices, labels = replaced
            self._labels[indices] = labels


class Board:
    """The state of a project.

    Attributes:
        book: The meaning of the events.
        probe_results: Which probes people found and missed.
        gold_results: What the answers of newcomers to gold questions say.
        labels: (P,) The newest label that each sample of the pool got in a step; `NO_LABEL` if it got no label.
        holdout: (H,) The label of each image of the hold-out; `NO_LABEL` if the person could not tell, and `UNANSWERED`
            without an answer.
        recent_ms: The times that the newest answers took, in milliseconds, by kind of question.

    Args:
        steps: The questions of all steps so far.
        events: The log so far.
    """

    def __init__(
        self,
        *,
        class_names: Sequence[str],
        num_pool: int,
        num_holdout: int,
        steps: Iterable[StepQuestions] = (),
        events: Iterable[Event] = (),
    ) -> None:
        self.book, self.probe_results, self.gold_results = Book(class_names), ProbeResults(), GoldResults()
        self.labels: LabelArray = np.full(num_pool, NO_LABEL, np.int32)
        self.holdout: LabelArray = np.full(num_holdout, UNANSWERED, np.int32)
        self.recent_ms: dict[Kind, deque[int]] = {kind: deque(maxlen=NUM_RECENT) for kind in Kind}
        self.steps: dict[tuple[int, int], StepBoard] = {}
        self._class_keys = {same_class_key(name): label for label, name in enumerate(class_names)}
        self._class_sizes: list[int] | None = None
        self._holdout_order = sorted(range(num_holdout), key=_shuffled)
        for event in events:
            self.apply(event)
        for step in sorted(steps, key=lambda step: (step.iteration, step.step)):
            self.add_step(step)

    def add_step(self, step: StepQuestions) -> StepBoard:
        """The board of a step. If the step has a board already, that board is returned with its questions unchanged."""
        key = step.iteration, step.step
        if key not in self.steps:
            self._class_sizes = None
            self.steps[key] = StepBoard(step, self.book, self.labels)
        return self.steps[key]

    def apply(self, event: Event) -> None:
        """Add the next event of the log."""
        if not self.book.apply(event):
            return
        self._class_sizes = None
        self.probe_results.add(event)
        self.gold_results.add(event)
        match event:
            case Answered():
                if event.purpose is Purpose.ROUND:
                    self.recent_ms[event.kind].append(answer_ms(event))
                self._refresh(event.question)
            case Undone():
                given = self.book.given(event.answer)
                if given is not None:
                    self._refresh(given.event.question)
            case ClassAdded():
                self._class_keys.setdefault(same_class_key(event.name), event.label)
            case ClassRenamed():
                names = self.book.classes
                self._class_keys = {same_class_key(name): label for label, name in enumerate(names)}

    def class_named(self, name: str) -> int | None:
        """The id of the class with this name, whatever its case and spaces. None if there is none."""
        return self._class_keys.get(same_class_key(name))

    def find(self, question_id: str) -> tuple[StepBoard, Question] | None:
        """A question about the pool that people were or are asked. None if there is no such question."""
        try:
            place = step_of(question_id)
        except ValueError:
            return None
        step = None if place is None else self.steps.get(place)
        question = None if step is None else step.questions.get(question_id)
        return None if step is None or question is None else (step, question)

    def find_in_holdout(self, question_id: str) -> int | None:
        """The position in the hold-out of a question. None if there is no such question."""
        try:
            position = holdout_position(question_id)
        except ValueError:
            return None
        if position is None or not 0 <= position < len(self.holdout) or question_id != f"{HOLDOUT}.{position}":
            return None
        return position

    def is_waiting(self, question_id: str) -> bool:
        """Whether a question exists, its step is open, and it has no answer."""
        position = self.find_in_holdout(question_id)
        if position is not None:
            return bool(self.holdout[position] == UNANSWERED)
        found = self.find(question_id)
        return found is not None and not found[0].is_closed and question_id not in found[0].replies

    def waiting_in_holdout(self) -> list[str]:
        """The questions of the hold-out without an answer, in an order that says nothing about the images."""
        return [f"{HOLDOUT}.{one}" for one in self._holdout_order if self.holdout[one] == UNANSWERED]

    @property
    def num_answered_in_holdout(self) -> int:
        """How many questions of the hold-out have an answer."""
        return int(np.count_nonzero(self.holdout != UNANSWERED))

    def steps_of(self, iteration: int) -> list[StepBoard]:
        """The steps of a round so far."""
        return [board for (number, _), board in self.steps.items() if number == iteration]

    def answered_steps(self) -> Iterator[tuple[StepQuestions, Iterator[tuple[Question, Reply]]]]:
        """Each step with its questions and the replies to them, from the oldest step to the newest one."""
        for place in sorted(self.steps):
            one = self.steps[place]
            yield one.step, ((one.questions[name], reply) for name, reply in one.replies.items())

    def class_sizes(self) -> list[int]:
        """For each class, how many images have its label now."""
        if self._class_sizes is None:
            both = np.concatenate([self.labels, self.holdout])
            self._class_sizes = np.bincount(both[both >= 0], minlength=self.book.num_classes).tolist()
        return self._class_sizes

    def _refresh(self, question_id: str) -> None:
        position = self.find_in_holdout(question_id)
        if position is not None:
            event = self.book.counted(question_id)
            label = NO_LABEL if event is None or event.label is None else event.label
            self.holdout[position] = UNANSWERED if event is None else label
        elif (found := self.find(question_id)) is not None:
            found[0].refresh(question_id)


def is_half(question: Question) -> bool:
    """Whether a question is about a part of a cluster that was split."""
    return question.id.count(".") > 2


def _shuffled(position: int) -> bytes:
    """A sort key that puts positions in a random order. Two positions have the same order in every larger hold-out."""
    return hashlib.sha256(f"{HOLDOUT}.{position}".encode()).digest()
