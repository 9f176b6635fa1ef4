"""Tests properties of the fold, which computes the state of a project from its log. A log is made by the rules of the
server, and then shortened, doubled and put into other orders."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raycal.algorithm.questions import Question, Reply, StepQuestions
from raycal.algorithm.records import Answer, Kind
from raycal.people.clock import answer_ms
from raycal.people.events import (
    Answered,
    ClassAdded,
    ClassRenamed,
    Closed,
    Event,
    GivenAnswer,
    Purpose,
    Timing,
    Undone,
)
from raycal.people.fold import Arrival, Book, fold, holdout_position, step_of

PEOPLE = ("ana", "bo", "cy")
SIZE = 8
CLUSTERS = 4
STEPS = (
    StepQuestions(
        iteration=0,
        step=0,
        kind=Kind.CLUSTER,
        budget=20,
        first=tuple(
            Question(id=f"0.0.{number}", by_distance=np.arange(SIZE * number, SIZE * (number + 1))[::-1].copy())
            for number in range(CLUSTERS)
        ),
    ),
    StepQuestions(
        iteration=0,
        step=1,
        kind=Kind.SAMPLE,
        budget=5,
        first=tuple(Question(id=f"0.1.{number}", by_distance=np.array([40 + number])) for number in range(5)),
    ),
)
QUESTIONS = [f"0.0.{number}" for number in range(CLUSTERS)]
HALVES = [f"{name}.{half}" for name in QUESTIONS for half in (0, 1)]
SAMPLES = [f"0.1.{number}" for number in range(5)]
HELD_OUT = [f"h.{number}" for number in range(4)]


def answered(number: int, question: str, **changes: Any) -> Answered:
    is_cluster = question in QUESTIONS or question in HALVES
    values: dict[str, Any] = {
        "seq": number,
        "id": f"id{number}",
        "who": "ana",
        "time": "2026-01-01T00:00:00Z",
        "question": question,
        "kind": Kind.CLUSTER if is_cluster else Kind.SAMPLE,
        "answer": GivenAnswer.LABEL,
        "label": 0,
        "purpose": Purpose.HOLDOUT if question.startswith("h.") else Purpose.ROUND,
        "timing": Timing(visible_ms=1000 + number),
    }
    return Answered(**{**values, **changes})


def undone(number: int, answer: str, who: str = "ana") -> Undone:
    return Undone(seq=number, id=f"id{number}", who=who, time="", answer=answer)


def samples_of(question: str) -> list[int]:
    cluster = int(question.split(".")[2])
    whole = list(range(SIZE * cluster, SIZE * (cluster + 1)))
    half = question.split(".")[3:]
    return whole if not half else whole[: SIZE // 2] if half == ["0"] else whole[SIZE // 2 :]


# Strategies are made once, because making one takes longer than drawing from it.
KINDS = ["answer"] * 6 + ["undo", "undo", "class", "rename"]
KIND, KIND_OR_CLOSE = st.sampled_from(KINDS), st.sampled_from([*KINDS, "close"])
PERSON = st.sampled_from(PEOPLE)
QUESTION = st.sampled_from(QUESTIONS + HALVES + SAMPLES + HELD_OUT)
ANSWER, ANSWER_WITHOUT_SPLIT = (
    st.sampled_from(list(GivenAnswer)),
    st.sampled_from([GivenAnswer.LABEL, GivenAnswer.UNSURE]),
)
MARKED = {question: st.sets(st.sampled_from(samples_of(question)), max_size=3) for question in QUESTIONS + HALVES}
GAPS = st.lists(st.integers(5_000, 90_000), max_size=2)
LABEL, VISIBLE_MS, STEP = st.integers(0, 2), st.integers(0, 200_000), st.sampled_from([0, 1, None])


@st.composite
def logs(draw: st.DrawFn, *, closes: bool = True, most: int = 12) -> list[Event]:
    """The events of a log. Some of the logs could not come from a server, because a fold must understand any log."""
    events: list[Event] = []
    for number in range(1, draw(st.integers(0, most)) + 1):
        kind = draw(KIND_OR_CLOSE if closes else KIND)
        who = draw(PERSON)
        if kind == "answer":
            question = draw(QUESTION)
            answer = draw(ANSWER if question in QUESTIONS else ANSWER_WITHOUT_SPLIT)
            marked: tuple[int, ...] = ()
            halves: tuple[tuple[int, ...], ...] = ()
            if question in MARKED and answer is GivenAnswer.LABEL:
                marked = tuple(sorted(draw(MARKED[question])))
            if answer is GivenAnswer.SPLIT:
                halves = tuple(tuple(samples_of(f"{question}.{half}")) for half in (0, 1))
            gaps = tuple(draw(GAPS))
            events.append(
                answered(
                    number,
                    question,
                    who=who,
                    answer=answer,
                    label=draw(LABEL) if answer is GivenAnswer.LABEL else None,
                    marked=marked,
                    halves=halves,
                    timing=Timing(visible_ms=draw(VISIBLE_MS), gaps_ms=gaps),
                )
            )
        elif kind == "undo":
            events.append(undone(number, f"id{draw(st.integers(1, number))}", who))
        elif kind == "class":
            label = sum(isinstance(event, ClassAdded) for event in events)
            events.append(ClassAdded(seq=number, id=f"id{number}", who=who, time="", name=f"c{number}", label=label))
        elif kind == "rename":
            events.append(ClassRenamed(seq=number, id=f"id{number}", who=who, time="", label=draw(LABEL), name="new"))
        else:
            step = draw(STEP)
            events.append(Closed(seq=number, id=f"id{number}", who=who, time="", iteration=0, step=step))
    return events


def reply_values(reply: Reply) -> Any:
    part = None if reply.part is None else reply.part.tolist()
    return reply.label, part, [(one.id, one.by_distance.tolist()) for one in reply.halves], reply.seconds


def meaning(book: Book, *, seconds: bool = True) -> dict[str, Any]:
    """All values of a book that must not depend on the order of events."""
    replies = {step.step: {key: reply_values(reply) for key, reply in book.replies(step).items()} for step in STEPS}
    if not seconds:
        replies = {step: {key: values[:3] for key, values in of.items()} for step, of in replies.items()}
    last = {who: given.event.id for who in PEOPLE if (given := book.last_answer_of(who)) is not None}
    return {
        "classes": book.classes,
        "closed": dict(book.closed),
        "holdout": book.holdout(),
        "second": {key: sorted(event.id for event in events) for key, events in book.second_opinions.items()},
        "late": [event.id for event in book.late],
        "replies": replies,
        "last": last,
        **({"seconds": book.seconds} if seconds else {}),
    }


def rows(book: Book) -> list[Any]:
    return [
        (row.interaction, row.kind, row.answer, row.label, row.seconds, row.indices.tolist())
        for step in STEPS
        for row in step.rows(book.replies(step), spent=0)
    ]


@settings(max_examples=500)
@given(logs(), st.randoms(use_true_random=False), st.data())
def test_doubled_events_in_any_order_change_nothing(
    events: list[Event], rng: random.Random, data: st.DataObject
) -> None:
    doubled = events + data.draw(st.lists(st.sampled_from(events), max_size=20)) if events else []
    rng.shuffle(doubled)

    assert meaning(fold(doubled)) == meaning(fold(events))
    assert list(fold(doubled).events.values()) == events


@settings(max_examples=500)
@given(logs(), st.data())
def test_any_prefix_folds_and_the_events_after_it_can_be_applied(events: list[Event], data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(events)))
    book = fold(events[:length])
    assert book.last_seq == length
    before = meaning(book)
    assert not any(book.apply(event) for event in events[:length])
    assert meaning(book) == before
    assert all(book.apply(event) for event in events[length:])
    assert meaning(book) == meaning(fold(events))


@settings(max_examples=500)
@given(logs(), st.sampled_from(QUESTIONS + SAMPLES + HELD_OUT), st.sampled_from(PEOPLE), st.sampled_from(GivenAnswer))
def test_undo_of_the_last_answer_restores_everything_but_the_time(
    events: list[Event], question: str, who: str, answer: GivenAnswer
) -> None:
    before = fold(events)
    number = len(events) + 1
    halves = tuple(tuple(samples_of(f"{question}.{half}")) for half in (0, 1)) if question in QUESTIONS else ()
    event = answered(
        number,
        question,
        who=who,
        answer=answer,
        label=1 if answer is GivenAnswer.LABEL else None,
        halves=halves if answer is GivenAnswer.SPLIT else (),
    )
    after = fold([*events, event, undone(number + 1, event.id, who)])

    if before.is_closed(question):  # A late answer is kept, and cannot be taken back.
        assert [one.id for one in after.late] == [*(one.id for one in before.late), event.id]
        assert meaning(after, seconds=False)["replies"] == meaning(before, seconds=False)["replies"]
    else:
        assert meaning(after, seconds=False) == meaning(before, seconds=False)
    spent = sum(after.milliseconds.values()) - sum(before.milliseconds.values())
    assert spent == answer_ms(event)


@settings(max_examples=500)
@given(logs(closes=False), st.randoms(use_true_random=False))
def test_order_of_different_questions_changes_no_reply(events: list[Event], rng: random.Random) -> None:
    """The events of one question keep their order; events of different questions are mixed in another way."""
    by_question: dict[str, list[Event]] = {}
    asked = {event.id: event.question for event in events if isinstance(event, Answered)}
    for event in events:
        key = asked.get(event.answer if isinstance(event, Undone) else event.id)
        if key is not None:
            by_question.setdefault(key, []).append(event)
    order = [key for key, of in by_question.items() for _ in of]
    rng.shuffle(order)
    queues = {key: iter(of) for key, of in by_question.items()}
    mixed = [replace(next(queues[key]), seq=number) for number, key in enumerate(order, 1)]

    first, second = fold(events), fold(mixed)

    assert rows(first) == rows(second)
    for part in ("replies", "holdout", "second", "seconds"):
        assert meaning(first)[part] == meaning(second)[part]


@settings(max_examples=500)
@given(logs())
def test_each_answer_is_in_one_place(events: list[Event]) -> None:
    """An answer counts, is a second opinion, is late or was taken back. No answer is in two of these groups."""
    book = fold(events)
    given_answers = [event for event in events if isinstance(event, Answered)]
    counted = {one.id for event in given_answers if (one := book.counted(event.question)) is not None}
    second = {event.id for others in book.second_opinions.values() for event in others}
    late = {event.id for event in book.late}
    undone_ids = {event.id for event in given_answers if book.given(event.id).undone_at is not None}  # type: ignore[union-attr]

    assert len(counted) + len(second) + len(late) + len(undone_ids) == len(given_answers)
    assert counted | second | late | undone_ids == {event.id for event in given_answers}


def replies_of(events: Sequence[Event], step: int = 0) -> dict[str, Any]:
    return {key: reply_values(reply) for key, reply in fold(events).replies(STEPS[step]).items()}


def test_marked_samples_get_no_label() -> None:
    event = answered(1, "0.0.1", label=2, marked=(8, 13))

    assert replies_of([event]) == {"0.0.1": (2, [9, 10, 11, 12, 14, 15], [], 1.001)}


def test_refusals_give_no_label() -> None:
    events = [
        answered(number, f"0.0.{number}", answer=answer, label=None)
        for number, answer in enumerate([GivenAnswer.REFUSED, GivenAnswer.UNSURE], 1)
    ]
    (first, second) = STEPS[0].rows(fold(events).replies(STEPS[0]), spent=7)

    assert [(row.interaction, row.answer, row.label) for row in (first, second)] == [
        (8, Answer.REFUSED, None),
        (9, Answer.REFUSED, None),
    ]
    assert first.indices.tolist() == list(range(8, 16))


def test_halves_of_a_split_cluster_are_asked_and_answered() -> None:
    halves = ((3, 2, 1, 0), (4, 5, 6, 7))
    split = answered(1, "0.0.0", answer=GivenAnswer.SPLIT, label=None, halves=halves)
    half = answered(2, "0.0.0.1", label=1, marked=(5,))

    replies = fold([split, half]).replies(STEPS[0])

    assert reply_values(replies["0.0.0"]) == (
        None,
        None,
        [("0.0.0.0", [3, 2, 1, 0]), ("0.0.0.1", [4, 5, 6, 7])],
        1.001,
    )
    assert reply_values(replies["0.0.0.1"]) == (1, [4, 6, 7], [], 1.002)
    assert [one.id for one in STEPS[0].open_questions(replies)] == ["0.0.0.0", "0.0.1", "0.0.2", "0.0.3"]
    # Without the split there are no halves, so an answer to a half does not count.
    assert set(replies_of([split, half, undone(3, "id1")])) == set()


def test_first_answer_counts_until_it_is_taken_back() -> None:
    events: list[Event] = [answered(1, "0.1.0", label=0, who="ana"), answered(2, "0.1.0", label=1, who="bo")]

    assert replies_of(events, 1)["0.1.0"][0] == 0
    assert fold(events).second_opinions == {"0.1.0": (events[1],)}
    events.append(undone(3, "id1"))
    assert replies_of(events, 1)["0.1.0"] == (1, None, [], 2.003)
    assert fold(events).second_opinions == {}
    events.append(answered(4, "0.1.0", label=2, who="ana"))
    assert replies_of(events, 1)["0.1.0"] == (1, None, [], 2.003)
    assert [(one.arrival, one.undone_at) for one in fold(events).answers("0.1.0")] == [
        (Arrival.FIRST, 3),
        (Arrival.SECOND, None),
        (Arrival.SECOND, None),
    ]


def test_answer_after_the_close_is_late_and_cannot_be_taken_back() -> None:
    for step in (0, None):
        events: list[Event] = [
            answered(1, "0.0.0", label=0),
            Closed(seq=2, id="id2", who="ana", time="", iteration=0, step=step),
            answered(3, "0.0.1", label=1),
            undone(4, "id1"),
            undone(5, "id3"),
        ]
        book = fold(events)

        assert replies_of(events) == {"0.0.0": (0, None, [], 1.001)}
        assert book.late == [events[2]]
        assert book.closed_at(0, 0) == 2
        assert book.closed_at(0, 1) == (2 if step is None else None)
        assert book.closed_at(1, 0) is None
        assert book.seconds == {(Purpose.ROUND, "ana"): 2.004}


def test_holdout_is_known_as_of_any_moment() -> None:
    events: list[Event] = [
        answered(1, "h.2", label=1),
        answered(2, "h.0", answer=GivenAnswer.UNSURE, label=None),
        answered(3, "h.1", label=0),
        undone(4, "id1"),
        answered(5, "h.2", label=2, who="bo"),
    ]
    book = fold(events)

    assert [book.holdout(seq) for seq in range(6)] == [
        {},
        {2: 1},
        {2: 1},
        {1: 0, 2: 1},
        {1: 0},
        {1: 0, 2: 2},
    ]
    assert book.holdout() == {1: 0, 2: 2}


def test_classes_are_numbered_in_the_order_of_their_creation() -> None:
    def added(seq: int, name: str, label: int) -> ClassAdded:
        return ClassAdded(seq=seq, id=f"id{seq}", who="ana", time="", name=name, label=label)

    renamed = ClassRenamed(seq=3, id="id3", who="ana", time="", label=1, name="rotkehlchen")

    assert fold([added(1, "wren", 1), added(2, "tit", 2), renamed], ["robin"]).classes == (
        "robin",
        "rotkehlchen",
        "tit",
    )


def test_ids_of_questions() -> None:
    assert (step_of("3.1.17"), step_of("3.1.17.0.1"), step_of("h.4")) == ((3, 1), (3, 1), None)
    assert (holdout_position("h.4"), holdout_position("3.1.17")) == (4, None)
