"""Tests which answers besides those of the ledger are evidence, and which images of a cluster a person saw."""

from itertools import count

import numpy as np
from small_project import clusters, samples

from raycal.algorithm.questions import Probe, Question
from raycal.algorithm.records import Kind
from raycal.people.events import Answered, Closed, Event, GivenAnswer, Purpose, Timing, Undone
from raycal.people.fold import fold
from raycal.people.gold import gold_check
from raycal.people.other_answers import other_answers
from raycal.people.shown import NUM_FARTHEST, NUM_NEAREST, random_samples, seen_samples

STEPS = [clusters(10), samples(10)]
NOW = "2026-11-28T00:00:00Z"


class Log:
    """Events, numbered in the order in which they are added."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._seq = count(1)

    def add(self, question: str, who: str, label: int | None, *, marked: tuple[int, ...] = ()) -> int:
        seq, name = next(self._seq), question.partition(".")[0]
        self.events.append(
            Answered(
                seq=seq,
                id=f"event-{seq}",
                who=who,
                time=NOW,
                question=question,
                kind=Kind.CLUSTER if question.startswith("0.0.") else Kind.SAMPLE,
                answer=GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL,
                label=label,
                purpose=Purpose(name) if name in {*Purpose} else Purpose.HOLDOUT if name == "h" else Purpose.ROUND,
                timing=Timing(visible_ms=1000),
                shown=10,
                marked=marked,
            )
        )
        return seq

    def undo(self, seq: int, who: str) -> None:
        number = next(self._seq)
        self.events.append(Undone(seq=number, id=f"undo-{number}", who=who, time=NOW, answer=f"event-{seq}"))

    def close(self, iteration: int) -> None:
        seq = next(self._seq)
        self.events.append(Closed(seq=seq, id=f"closed-{seq}", who="ana", time=NOW, iteration=iteration, step=None))

    def others(self) -> list[tuple[str, int, Kind, int, list[int], bool]]:
        found = other_answers(fold(self.events), STEPS)
        return [(one.who, one.round, one.kind, one.label, one.indices.tolist(), one.is_audit) for one in found]


def test_answers_of_the_ledger_are_not_among_them() -> None:
    log = Log()
    log.add("0.0.0", "ana", 1)
    log.add("0.1.0", "ana", 2)
    log.add("h.3", "bo", 2)

    assert log.others() == []


def test_second_opinions_and_late_answers_are_evidence() -> None:
    log = Log()
    log.add("0.1.0", "ana", 2)
    log.add("0.1.0", "bo", 3)
    log.add("0.1.1", "ana", 2)
    log.undo(log.add("0.1.1", "bo", 4), "bo")
    log.add("0.1.1", "cy", None)
    log.close(0)
    log.add("0.1.2", "bo", 1)
    first = {question.id: int(question.by_distance[0]) for question in STEPS[1].first}

    assert log.others() == [
        ("bo", 0, Kind.SAMPLE, 3, [first["0.1.0"]], False),
        ("bo", 0, Kind.SAMPLE, 1, [first["0.1.2"]], False),
    ]


def test_second_opinion_about_a_cluster_has_its_marks() -> None:
    log = Log()
    images = STEPS[0].first[4].indices.tolist()
    log.add("0.0.4", "ana", 2)
    log.add("0.0.4", "bo", 3, marked=(images[1],))

    assert log.others() == [("bo", 0, Kind.CLUSTER, 3, [images[0], *images[2:]], False)]
    (found,) = other_answers(fold(log.events), STEPS)
    assert (found.marked.tolist(), found.seen.tolist()) == ([images[1]], images)


def test_checks_are_evidence_about_the_image_that_they_ask_about() -> None:
    log = Log()
    original = log.add("0.1.5", "ana", 2)
    of_holdout = log.add("h.3", "ana", 2)
    log.add(f"shared.{original}", "bo", 3)
    log.add(f"repeat.{original}", "ana", 2)
    log.add(f"shared.{of_holdout}", "bo", 1)
    log.add("audit.17", "bo", 4)
    log.close(0)
    log.close(1)
    log.add("audit.18", "bo", 4)
    index = int(STEPS[1].first[5].by_distance[0])

    assert log.others() == [
        ("bo", 0, Kind.SAMPLE, 3, [index], False),
        ("ana", 0, Kind.SAMPLE, 2, [index], False),
        ("bo", 0, Kind.SAMPLE, 4, [17], True),
        ("bo", 1, Kind.SAMPLE, 4, [18], True),
    ]


def test_second_look_is_evidence_about_its_image_and_a_gold_answer_is_none() -> None:
    log = Log()
    original = log.add("0.1.5", "ana", 2)
    log.close(0)
    log.add("look_again.5", "cy", 4)
    log.add(gold_check(original, "bo").id, "bo", 3)
    log.undo(log.add("look_again.6", "cy", 1), "cy")

    assert log.others() == [("cy", 0, Kind.SAMPLE, 4, [5], False)]
    (found,) = other_answers(fold(log.events), STEPS)
    assert found.is_look


def test_small_cluster_is_seen_whole() -> None:
    assert seen_samples(Question(id="0.0.0", by_distance=np.array([5, 2, 9])), 3).tolist() == [2, 5, 9]


def test_of_a_large_cluster_the_ends_and_the_random_images_are_seen_without_probes() -> None:
    question = Question(id="0.0.0", by_distance=np.arange(100, 300), probes=(Probe(7, 1), Probe(8, 1)))
    seen = seen_samples(question, 36)

    assert len(seen) == 34
    assert set(range(100, 100 + NUM_NEAREST)) | set(range(300 - NUM_FARTHEST, 300)) < set(seen.tolist())
    assert set(random_samples(question, 36).tolist()) < set(seen.tolist())
    assert not {7, 8} & set(seen.tolist())
    assert len(seen_samples(question, 60)) == 58
