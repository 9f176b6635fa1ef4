import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycal.algorithm.records import Kind
from raycal.people.events import (
    Answered,
    ClassAdded,
    ClassRenamed,
    Closed,
    Event,
    GivenAnswer,
    KnownLabel,
    Purpose,
    Timing,
    Undone,
    from_line,
    to_line,
)

COMMON = {"seq": 7, "id": "0123456789abcdef0123456789abcdef", "who": "ana", "time": "2026-11-27T16:00:00.123Z"}
numbers = st.integers(0, 2**40)
common = st.fixed_dictionaries({"seq": numbers, "id": st.text(), "who": st.text(), "time": st.text()})
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        lambda common, **rest: Answered(**common, **rest),
        common,
        question=st.text(),
        kind=st.sampled_from(Kind),
        answer=st.sampled_from(GivenAnswer),
        label=st.none() | numbers,
        purpose=st.sampled_from(Purpose),
        timing=st.builds(
            Timing,
            visible_ms=numbers,
            first_input_ms=st.none() | numbers,
            gaps_ms=st.lists(numbers, max_size=3).map(tuple),
        ),
        shown=numbers,
        marked=st.lists(numbers, max_size=3).map(tuple),
        halves=st.lists(st.lists(numbers, max_size=3).map(tuple), max_size=2).map(tuple),
        suggestion_shown=st.booleans(),
        known=st.none() | st.builds(KnownLabel, numbers, numbers, numbers),
    ),
    st.builds(lambda common, answer: Undone(**common, answer=answer), common, st.text()),
    st.builds(lambda common, name, label: ClassAdded(**common, name=name, label=label), common, st.text(), numbers),
    st.builds(lambda common, name, label: ClassRenamed(**common, name=name, label=label), common, st.text(), numbers),
    st.builds(
        lambda common, iteration, step: Closed(**common, iteration=iteration, step=step),
        common,
        numbers,
        st.none() | numbers,
    ),
)


@given(events)
def test_event_is_the_same_after_reading_its_line(event: Event) -> None:
    line = to_line(event)

    assert from_line(line) == event
    assert from_line(line.encode()) == event
    assert "\n" not in line
    assert len(line.splitlines()) == 1


def test_line_has_the_documented_keys() -> None:
    event = Answered(
        **COMMON,  # type: ignore[arg-type]
        question="3.1.17",
        kind=Kind.CLUSTER,
        answer=GivenAnswer.SPLIT,
        label=None,
        purpose=Purpose.ROUND,
        timing=Timing(visible_ms=1234, first_input_ms=200, gaps_ms=(6000,)),
        shown=36,
        marked=(4, 9),
        halves=((4, 5), (9,)),
        suggestion_shown=True,
    )

    assert json.loads(to_line(event)) == {
        "type": "answered",
        **COMMON,
        "question": "3.1.17",
        "kind": "cluster",
        "answer": "split",
        "label": None,
        "purpose": "round",
        "timing": {"visible_ms": 1234, "first_input_ms": 200, "gaps_ms": [6000]},
        "shown": 36,
        "marked": [4, 9],
        "halves": [[4, 5], [9]],
        "suggestion_shown": True,
    }
    closed = Closed(**COMMON, iteration=3, step=None)  # type: ignore[arg-type]
    assert json.loads(to_line(closed)) == {"type": "closed", **COMMON, "iteration": 3, "step": None}


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        b'{"type": "answered"}',
        b"[" * 100_000,
        json.dumps({"type": "moved", **COMMON}).encode(),
        json.dumps({"type": ["closed"], **COMMON}).encode(),
        json.dumps({"type": "closed", **COMMON, "iteration": None, "step": 1}).encode(),
        json.dumps({"type": "undone", **COMMON}).encode(),
        json.dumps({"type": "undone", **COMMON, "seq": None, "answer": "a"}).encode(),
    ],
)
def test_line_that_is_no_event_is_refused(record: Any) -> None:
    with pytest.raises(ValueError):
        from_line(record)
