from itertools import count

import numpy as np
import pytest
from small_project import clusters, samples

from raycal.algorithm.records import Kind
from raycal.people.events import Answered, Event, GivenAnswer, Purpose, Timing, Undone
from raycal.people.fold import fold
from raycal.people.persons import summarize_people
from raycal.people.quality import Quality, audited_labels, labels_of_people, quality_of, repeated_labels
from raycal.people.results import wilson_interval

CLASSES = ("wren", "robin", "tit", "crow", "jay")


class Log:
    """Events, numbered in the order in which they are added."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._seq = count(1)

    def add(self, question: str, who: str, label: int | None, *, kind: Kind = Kind.SAMPLE) -> int:
        """An answer, and its place in the log."""
        seq = next(self._seq)
        name = question.partition(".")[0]
        self.events.append(
            Answered(
                seq=seq,
                id=f"event-{seq}",
                who=who,
                time="2026-11-28T00:00:00Z",
                question=question,
                kind=kind,
                answer=GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL,
                label=label,
                purpose=Purpose(name) if name in {*Purpose} else Purpose.HOLDOUT if name == "h" else Purpose.ROUND,
                timing=Timing(visible_ms=1000),
            )
        )
        return seq

    def undo(self, seq: int, who: str) -> None:
        number = next(self._seq)
        event = Undone(seq=number, id=f"undo-{number}", who=who, time="2026-11-28T00:00:00Z", answer=f"event-{seq}")
        self.events.append(event)

    def quality(self) -> Quality:
        return quality_of(fold(self.events, CLASSES), [clusters(10), samples(10)])


def test_repeats_say_how_often_people_agree_with_themselves() -> None:
    log = Log()
    for number, (first, second) in enumerate([(0, 0), (1, 1), (2, 3), (4, None)]):
        seq = log.add(f"0.1.{number}", "ana", first)
        log.add(f"repeat.{seq}", "ana", second)

    assert repeated_labels(fold(log.events)) == {"ana": [(0, 0), (1, 1), (2, 3)]}
    (ana,) = log.quality().with_themselves
    assert (ana.people, ana.number, ana.agreeing, ana.kappa) == (("ana",), 3, 2, None)
    assert ana.interval == wilson_interval(2 / 3, 3)
    assert not log.quality().pairs


def test_shared_questions_and_second_opinions_say_how_often_people_agree() -> None:
    log = Log()
    seq = log.add("0.1.0", "ana", 0)
    log.add(f"shared.{seq}", "ben", 1)
    seq = log.add("h.4", "ben", 2)
    log.add(f"shared.{seq}", "ana", 2)
    log.add("0.1.1", "cleo", 3)
    log.add("0.1.1", "ana", 3)  # a second opinion
    taken_back = log.add("0.1.2", "ana", 4)
    log.undo(taken_back, "ana")
    log.add(f"shared.{taken_back}", "ben", 1)  # the answer that it checks does not stand

    assert labels_of_people(fold(log.events)) == [
        {"ana": 0, "ben": 1},
        {"ben": 2, "ana": 2},
        {"cleo": 3, "ana": 3},
    ]
    quality = log.quality()
    assert [(one.people, one.number, one.agreeing) for one in quality.pairs] == [
        (("ana", "ben"), 2, 1),
        (("ana", "cleo"), 1, 1),
    ]
    assert quality.pairs[0].kappa == pytest.approx((1 / 2 - 1 / 4) / (1 - 1 / 4))
    # Of six labels, one unit of two disagrees: 1 - 5 * 2 / (36 - 1 - 1 - 4 - 4).
    assert quality.alpha == pytest.approx(1 - 5 * 2 / 26)
    assert quality.confused == (((0, 1), 1),)


def test_audits_give_the_error_of_the_labels_of_clusters() -> None:
    log = Log()
    for number in range(10):
        log.add(f"0.0.{number}", "ana", number % 5, kind=Kind.CLUSTER)
    for index in range(0, 100, 5):  # two of each cluster
        log.add(f"audit.{index}", "ben", 4 if index in (0, 50) else index // 10 % 5)
    log.add("audit.599", "ben", 0)  # has no label of a cluster
    log.add("audit.7", "ben", None)

    assert len(audited_labels(fold(log.events))) == 21
    error = log.quality().error
    assert error is not None
    assert (error.number, error.num_wrong, error.share) == (20, 2, pytest.approx(0.1))
    assert (error.low, error.high) == pytest.approx(wilson_interval(0.1, 20))


def test_audit_of_a_sample_that_was_labeled_alone_later_does_not_count() -> None:
    log = Log()
    log.add("0.0.0", "ana", 1, kind=Kind.CLUSTER)
    log.add("audit.3", "ben", 2)
    assert log.quality().error is not None
    later = samples(1, start=3)
    log.add("0.1.0", "ana", 2)

    assert quality_of(fold(log.events, CLASSES), [clusters(10), later]).error is None


def test_nothing_is_known_without_checks() -> None:
    log = Log()
    log.add("0.1.0", "ana", 0)

    assert log.quality() == Quality()
    assert not log.quality().is_known


def test_intervals_of_self_agreement_cover_the_truth_of_bots() -> None:
    """Of 1,000 bots, each with its own known share of repeated labels, at least 93 % are within their interval.

    For some single shares Wilson's interval covers a little less, such as 92 % for a share of 0.95 and 60 repeats.
    """
    rng = np.random.default_rng(3)
    for number in (30, 60, 100):
        truth = rng.uniform(0.6, 0.99, 1000)
        agreeing = rng.binomial(number, truth)
        intervals = [wilson_interval(one / number, number) or (0.0, 1.0) for one in agreeing.tolist()]
        assert sum(low <= share <= high for (low, high), share in zip(intervals, truth, strict=True)) >= 930


def test_repeats_are_counted_for_each_person() -> None:
    log = Log()
    for number, (first, second) in enumerate([(0, 0), (1, 1), (2, 3)]):
        seq = log.add(f"0.1.{number}", "ana", first)
        log.add(f"repeat.{seq}", "ana", second)
    log.add("0.1.5", "ben", 1)

    ana, ben = summarize_people(fold(log.events))
    assert (ana.checks, ana.repeated, ana.repeated_agreeing) == (3, 3, 2)
    assert (ben.checks, ben.repeated, ben.repeated_agreeing) == (0, 0, 0)
