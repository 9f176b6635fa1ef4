"""The answers about the pool that no ledger has: second opinions, late answers, second looks, and checks of labels.

A round counts one answer to each question. The other answers are evidence about the labels all the same, except for
those to gold questions: their samples are chosen because the label is known, so they say nothing new.
"""

from collections.abc import Sequence

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.check_ids import check_of
from raycal.people.events import Answered, Purpose
from raycal.people.evidence import OtherAnswer
from raycal.people.fold import Arrival, Book
from raycal.people.shown import seen_samples


def other_answers(book: Book, steps: Sequence[StepQuestions]) -> list[OtherAnswer]:
    """All labels of the pool in the log that are in no ledger, from the oldest to the newest one.

    Args:
        book: The answers.
        steps: The questions of all steps, from the oldest to the newest one.
    """
    asked = {question.id: (step, question) for step in steps for question in step.known(book.replies(step))}
    events = {given.event.seq: given.event for given in book.all_answers()}
    found = []
    for given in book.all_answers():
        event = given.event
        if event.label is None or given.undone_at is not None:
            continue
        check = check_of(event.question)
        if check is not None:
            if given.arrival is Arrival.LATE:
                continue
            if check.purpose in (Purpose.AUDIT, Purpose.LOOK_AGAIN):
                found.append(_of_sample(event, _round_of(book, event), check.number, check.purpose))
            elif check.purpose in (Purpose.REPEAT, Purpose.SHARED):
                original = events.get(check.number)
                place = None if original is None else asked.get(original.question)
                if place is not None:
                    found.append(_of_sample(event, place[0].iteration, int(place[1].by_distance[0]), check.purpose))
        elif event.question in asked and book.counted(event.question) is not event:
            step, question = asked[event.question]
            found.append(_of_question(event, step, question))
    return found


def _of_sample(event: Answered, iteration: int, index: int, purpose: Purpose) -> OtherAnswer:
    alone = np.array([index], np.int64)
    return OtherAnswer(
        who=event.who,
        round=iteration,
        kind=Kind.SAMPLE,
        label=event.label or 0,
        indices=alone,
        marked=alone[:0],
        seen=alone,
        is_audit=purpose is Purpose.AUDIT,
        is_look=purpose is Purpose.LOOK_AGAIN,
    )


def _of_question(event: Answered, step: StepQuestions, question: Question) -> OtherAnswer:
    marked = np.array(event.marked, np.int64)
    return OtherAnswer(
        who=event.who,
        round=step.iteration,
        kind=step.kind,
        label=event.label or 0,
        indices=np.setdiff1d(question.indices, marked),
        marked=marked,
        seen=seen_samples(question, event.shown),
    )


def _round_of(book: Book, event: Answered) -> int:
    """The newest round of which a step was closed before an event."""
    return max((iteration for (iteration, _), seq in book.closed.items() if seq < event.seq), default=0)
