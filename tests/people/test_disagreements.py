"""The samples of D^L whose labels differ, and their order."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from small_project import clusters, samples

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.disagreements import Disagreement, Reason, closed_labels, disagreements, replies_of, shuffled
from raycal.people.events import Answered, Closed, Event, GivenAnswer, Purpose, Timing, Undone
from raycal.people.fold import Book, fold
from raycal.people.model_doubts import Doubt

# The sample that each question of `samples()` asks about.
SAMPLES = [300 + 7 * number for number in range(10)]


class Log:
    """Events in the order in which they are added."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def answer(self, who: str, question: str, label: int | None, purpose: Purpose = Purpose.ROUND, **more: Any) -> int:
        """Add an answer, and return its place in the log."""
        fields: dict[str, Any] = {
            "question": question,
            "kind": Kind.SAMPLE,
            "answer": GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL,
            "label": label,
            "purpose": purpose,
            "timing": Timing(visible_ms=1000),
        }
        self.events.append(Answered(**self._common(who), **fields | more))
        return len(self.events)

    def undo(self, seq: int) -> None:
        self.events.append(Undone(**self._common("ana"), answer=self.events[seq - 1].id))

    def close(self, iteration: int, step: int | None) -> None:
        self.events.append(Closed(**self._common("ana"), iteration=iteration, step=step))

    @property
    def book(self) -> Book:
        return fold(self.events, ("wren", "robin", "tit", "crow", "jay"))

    def _common(self, who: str) -> dict[str, Any]:
        seq = len(self.events) + 1
        return {"seq": seq, "id": f"event-{seq}", "who": who, "time": "2026-11-28T12:00:00Z"}


def found(log: Log, *steps: StepQuestions, doubts: Mapping[int, Doubt] | None = None) -> list[Disagreement]:
    book = log.book
    return list(
        disagreements(book, closed_labels(book, replies_of(book, steps)), book.questions, doubts or {}).values()
    )


def one(sample: int, labels: Iterable[int], reason: Reason, balance: int = 1) -> Disagreement:
    return Disagreement(sample=sample, labels=tuple(labels), reason=reason, balance=balance)


def test_the_strongest_reason_comes_first() -> None:
    log = Log()
    # Clusters of ten neighbors; the samples 300 and 307 of the step about single samples are among them.
    first = clusters(1, size=400)
    log.answer("ana", "0.0.0", 4, kind=Kind.CLUSTER)
    log.close(0, 0)
    seqs = [log.answer("ana", f"0.1.{number}", label) for number, label in enumerate((4, 0, 4, 4, 4, 4))]
    log.answer("ben", "0.1.2", 1)  # a second opinion, which comes before the step is closed
    log.close(0, 1)
    log.answer("ana", f"repeat.{seqs[3]}", 2, Purpose.REPEAT)
    log.answer("ben", f"shared.{seqs[4]}", 3, Purpose.SHARED)
    log.answer("ben", f"audit.{SAMPLES[5]}", 0, Purpose.AUDIT)

    # Each label that counts is that of the cluster, too, except the one of the sample 307.
    assert found(log, first, samples(6)) == [
        one(SAMPLES[2], (1, 4), Reason.PEOPLE, 0),
        one(SAMPLES[4], (3, 4), Reason.PEOPLE, 0),
        one(SAMPLES[1], (0, 4), Reason.CLUSTER, 1),
        one(SAMPLES[5], (0, 4), Reason.CLUSTER, 0),
        one(SAMPLES[3], (2, 4), Reason.SELF, 0),
    ]


def test_more_opinions_against_a_label_come_first() -> None:
    log = Log()
    log.answer("ana", "0.1.0", 0)
    log.answer("ana", "0.1.1", 0)
    log.answer("ana", "0.1.2", 0)
    for number, label in ((0, 1), (1, 1), (1, 2), (2, 1), (2, 0)):
        log.answer("ben" if number != 1 else f"person {label}", f"0.1.{number}", label)
    log.close(0, None)

    assert found(log, samples(3)) == [
        one(SAMPLES[1], (0, 1, 2), Reason.PEOPLE, 2),
        one(SAMPLES[0], (0, 1), Reason.PEOPLE, 1),
        one(SAMPLES[2], (0, 1), Reason.PEOPLE, 0),
    ]


def test_doubts_of_the_model_come_after_those_of_people() -> None:
    log = Log()
    first = clusters(1, size=400)
    log.answer("ana", "0.0.0", 4, kind=Kind.CLUSTER)
    log.close(0, 0)
    for number, label in enumerate((4, 0, 4, 4, 0, 4)):
        log.answer("ana", f"0.1.{number}", label)
    log.answer("ben", "0.1.2", 1)
    log.close(0, 1)
    doubts = {
        SAMPLES[0]: Doubt(label=4, predicted=2, of_label=0.3),
        SAMPLES[3]: Doubt(label=4, predicted=3, of_label=0.1),
        SAMPLES[4]: Doubt(label=0, predicted=4, of_label=0.2),
        SAMPLES[5]: Doubt(label=1, predicted=4, of_label=0.0),  # The sample has another label now.
        SAMPLES[7]: Doubt(label=4, predicted=1, of_label=0.0),  # Nobody has labeled this sample.
    }

    assert found(log, first, samples(6), doubts=doubts) == [
        one(SAMPLES[2], (1, 4), Reason.PEOPLE, 0),
        one(SAMPLES[4], (0, 4), Reason.MODEL, 2),  # The cluster is against the label, too.
        one(SAMPLES[3], (3, 4), Reason.MODEL, 0),
        one(SAMPLES[0], (2, 4), Reason.MODEL, 0),
        one(SAMPLES[1], (0, 4), Reason.CLUSTER, 1),
    ]


def test_equal_labels_and_open_steps_are_no_disagreement() -> None:
    log = Log()
    log.answer("ana", "0.1.0", 0)
    log.answer("ben", "0.1.0", 0)
    log.answer("ana", "0.1.1", None)
    log.answer("ben", "0.1.1", 1)  # the first answer counts, and it gives no label
    log.answer("ana", "0.1.2", 0)
    assert found(log, samples(3)) == []
    log.answer("ben", "0.1.2", 1)
    assert found(log, samples(3)) == []  # the step is still open
    log.close(0, 1)
    assert [each.sample for each in found(log, samples(3))] == [SAMPLES[2]]


def test_late_and_taken_back_labels_are_no_opinions() -> None:
    log = Log()
    log.answer("ana", "0.1.0", 0)
    log.answer("ana", "0.1.1", 0)
    log.undo(log.answer("ana", "0.1.1", 3))
    log.close(0, 1)
    log.answer("ben", "0.1.0", 1)  # late
    seq = log.answer("ben", "shared.1", 2, Purpose.SHARED)
    assert [each.labels for each in found(log, samples(2))] == [(0, 2)]
    log.undo(seq)
    assert found(log, samples(2)) == []


def test_a_marked_sample_has_no_label_of_its_cluster() -> None:
    log = Log()
    log.answer("ana", "0.0.0", 4, kind=Kind.CLUSTER, marked=(300,))
    log.answer("ana", "0.1.0", 1)
    log.answer("ana", "0.1.1", 1)
    log.close(0, None)
    assert found(log, clusters(1, size=400), samples(2)) == [one(SAMPLES[1], (1, 4), Reason.CLUSTER)]


def test_a_label_of_a_later_cluster_counts() -> None:
    log = Log()
    log.answer("ana", "0.1.0", 1)
    log.close(0, 1)
    log.answer("ana", "1.0.0", 2, kind=Kind.CLUSTER)
    log.close(1, 0)
    later = StepQuestions(
        iteration=1,
        step=0,
        kind=Kind.CLUSTER,
        budget=1,
        first=(Question(id="1.0.0", by_distance=np.array([999, 300, 5])),),
    )
    assert found(log, samples(1), later) == [one(300, (1, 2), Reason.CLUSTER)]


@pytest.mark.parametrize("seed", [0, 1])
def test_order_of_labels_is_random_but_fixed(seed: int) -> None:
    orders = [shuffled((2, 4), sample, seed) for sample in range(100)]
    assert orders == [shuffled((4, 2), sample, seed) for sample in range(100)]
    assert 35 <= sum(order == [2, 4] for order in orders) <= 65
