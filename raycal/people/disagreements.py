"""Finds the samples of D^L whose label another label or a model speaks against, the most doubtful first.

Everything here is a function of its arguments: the log, the questions, and what the model doubts. So the server and the
worker get the same result whenever they start. A sample counts once the step that asked about it alone is closed,
because from then on its label is in D^L and its answer cannot be taken back.

A model may doubt a label, too, if it was trained without it; see `model_doubts`. The guess of the model that chose the
question is no opinion: most single samples are asked because this model is unsure, so its guess often differs from a
right label, however high its probability is.

That a person missed a probe in a cluster is no reason to look at the images of the cluster one by one. Simulated people
who overlook half of the odd images leave 2.3 % wrong labels in the clusters of digits that they label, and with 20 % it
is 1.3 % (three projects each). Whoever looks at such images and is wrong in 5 % of the answers breaks more labels than
there are wrong ones.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.check_ids import Check, check_of
from raycal.people.events import Answered, Purpose
from raycal.people.fold import Arrival, Book
from raycal.people.model_doubts import Doubt

# The checks whose answers are opinions about a label.
OPINIONS = (Purpose.REPEAT, Purpose.SHARED, Purpose.AUDIT)
# Each step with its questions and the replies to them, from the oldest step to the newest one.
AnsweredSteps = Iterable[tuple[StepQuestions, Iterable[tuple[Question, Reply]]]]


class Reason(IntEnum):
    """Where another label comes from; the first reason is the strongest one.

    Attributes:
        PEOPLE: Another person gave it to the sample alone, as a second opinion or in a shared question.
        MODEL: A model that has not seen the label of the sample is sure of it.
        CLUSTER: A cluster with the sample got it, or an audit of the label of a cluster.
        SELF: The same person gave it to the sample at another time.
    """

    PEOPLE = 0
    MODEL = 1
    CLUSTER = 2
    SELF = 3


class Opinion(NamedTuple):
    """A label that a sample of D^L got besides the label that counts."""

    reason: Reason
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A sample of D^L whose label is in doubt.

    Attributes:
        sample: The sample of the pool.
        labels: The classes in question, ascending; one of them is the label that counts.
        reason: The strongest reason for the doubt.
        balance: The number of opinions against the label that counts, less the number of opinions for it.
    """

    sample: int
    labels: tuple[int, ...]
    reason: Reason
    balance: int

    @property
    def question(self) -> str:
        """The id of the question in which a person looks at the sample again."""
        return Check(Purpose.LOOK_AGAIN, self.sample).id


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLabels:
    """What is known about the samples of D^L from the closed steps.

    Attributes:
        singles: The answer that gave each sample its label.
        opinions: Labels from second opinions and from clusters, by the sample.
        found: The samples whose label differs from one of these opinions.
    """

    singles: Mapping[int, Answered] = field(default_factory=dict)
    opinions: Mapping[int, Sequence[Opinion]] = field(default_factory=dict)
    found: Mapping[int, Disagreement] = field(default_factory=dict)


def replies_of(book: Book, steps: Iterable[StepQuestions]) -> AnsweredSteps:
    """Each step with its answered questions."""
    for step in steps:
        replies = book.replies(step)
        yield step, [(question, replies[question.id]) for question in step.answered(replies)]


def single_labels(book: Book, steps: Iterable[StepQuestions]) -> dict[int, Answered]:
    """The answer that gave each sample of D^L its label, by the sample."""
    found = {}
    for step in steps:
        if step.kind is not Kind.SAMPLE or book.closed_at(step.iteration, step.step) is None:
            continue
        for question in step.first:
            event = book.counted(question.id)
            if event is not None and event.label is not None:
                found[int(question.by_distance[0])] = event
    return found


def closed_labels(book: Book, steps: AnsweredSteps) -> ClosedLabels:
    """The labels of D^L, with the second opinions about them and the labels of clusters."""
    known = [(step, list(answered)) for step, answered in steps]
    singles = single_labels(book, (step for step, _ in known))
    opinions = defaultdict[int, list[Opinion]](list)
    for sample, event in singles.items():
        for given in book.answers(event.question):
            label, stands = given.event.label, given.undone_at is None and given.arrival is not Arrival.LATE
            if stands and label is not None and given.event is not event:
                opinions[sample].append(Opinion(_reason(event, given.event), label))
    is_single = np.zeros(max(singles, default=-1) + 1, np.bool_)
    is_single[list(singles)] = True
    for step, answered in known:
        if step.kind is not Kind.CLUSTER or book.closed_at(step.iteration, step.step) is None:
            continue
        for question, reply in answered:
            if reply.label is None:
                continue
            indices = question.by_distance if reply.part is None else reply.part
            inside = indices[indices < len(is_single)]
            for sample in inside[is_single[inside]].tolist():
                opinions[sample].append(Opinion(Reason.CLUSTER, reply.label))
    found = (_disagreement(sample, singles[sample], given) for sample, given in opinions.items())
    return ClosedLabels(
        singles=singles,
        opinions=dict(opinions),
        found={one.sample: one for one in found if one is not None},
    )


def disagreements(
    book: Book, closed: ClosedLabels, questions: Iterable[str], doubts: Mapping[int, Doubt] = MappingProxyType({})
) -> dict[int, Disagreement]:
    """The samples of D^L whose label is in doubt, by the sample, the most doubtful first.

    The order is that of `Reason`. Then the sample with more opinions against its label comes first, then the one whose
    label the model finds less probable, and then the one that was labeled earlier.

    Args:
        questions: The ids of at least those questions besides the steps that people answered.
        doubts: The labels that the model doubts. One that is not the label of the sample any more is left out.
    """
    further = defaultdict[int, list[Opinion]](list)
    sample_of = {event.seq: sample for sample, event in closed.singles.items()}
    for question in questions:
        check, event = check_of(question), book.counted(question)
        if check is None or event is None or event.label is None or check.purpose not in OPINIONS:
            continue
        is_audit = check.purpose is Purpose.AUDIT
        sample = check.number if is_audit else sample_of.get(check.number, -1)
        if sample in closed.singles:
            reason = Reason.CLUSTER if is_audit else _reason(closed.singles[sample], event)
            further[sample].append(Opinion(reason, event.label))
    for sample, doubt in doubts.items():
        if sample in closed.singles and closed.singles[sample].label == doubt.label:
            further[sample].append(Opinion(Reason.MODEL, doubt.predicted))
    found = dict(closed.found)
    for sample, given in further.items():
        one = _disagreement(sample, closed.singles[sample], [*closed.opinions.get(sample, ()), *given])
        if one is not None:
            found[sample] = one

    def rank(one: Disagreement) -> tuple[float, ...]:
        doubt = doubts.get(one.sample)
        of_label = 1.0 if doubt is None else doubt.of_label
        return one.reason, -one.balance, of_label, closed.singles[one.sample].seq

    order = sorted(found.values(), key=rank)
    return {one.sample: one for one in order}


def shuffled(labels: Iterable[int], sample: int, seed: int) -> list[int]:
    """Labels in a random order, which tells nothing about who gave them, and which is always the same for a sample."""
    return sorted(labels, key=lambda label: hashlib.sha256(f"{seed}.choice.{sample}.{label}".encode()).digest())


def _reason(first: Answered, second: Answered) -> Reason:
    """Where the label of the second answer comes from, if both answers are about the same single sample."""
    return Reason.SELF if first.who == second.who else Reason.PEOPLE


def _disagreement(sample: int, event: Answered, opinions: Sequence[Opinion]) -> Disagreement | None:
    """How some opinions differ from the label of a sample. None if all of them agree with it."""
    against = [one for one in opinions if one.label != event.label]
    if not against or event.label is None:
        return None
    return Disagreement(
        sample=sample,
        labels=tuple(sorted({event.label, *(one.label for one in against)})),
        reason=min(one.reason for one in against),
        balance=2 * len(against) - len(opinions),
    )
