"""Checks the form of the events that a page sends; a page may be old, broken or hostile."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raycal.errors import InputError
from raycal.people.class_names import tidy
from raycal.people.events import GivenAnswer, Timing

# The ids that a page may send. They have no dot, because the server makes further ids from them by adding a dot.
_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_LONGEST_ID = 64
_MOST_MS = 7 * 24 * 3600 * 1000
_MOST_GAPS = 5_000
_BROKEN = "This page sent something that the server does not understand; reload the page."


class RefusedError(InputError):
    """What a person wants to do is not possible; the message is one sentence for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAnswer:
    """An answer in the form in which a page sends it.

    Attributes:
        label: The id of the class. None if the answer is not a label, or if it names a new class.
        new_class: The name of a class that should be created, unless it exists.
        marked: The rows of the marked images.
    """

    id: str
    question: str
    answer: GivenAnswer
    label: int | None
    new_class: str | None
    marked: tuple[int, ...]
    shown: int
    timing: Timing
    suggestion_shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SentUndo:
    """The wish of a person to take back the last answer."""

    id: str


def parse(raw: object) -> SentAnswer | SentUndo:
    """The event that a page sent.

    Raises:
        RefusedError: The event does not have the form that the server expects.
    """
    if not isinstance(raw, Mapping):
        raise RefusedError(_BROKEN)
    event_id = raw.get("id")
    if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
        raise RefusedError(_BROKEN)
    match raw.get("type"):
        case "undone":
            return SentUndo(id=event_id)
        case "answered":
            return _answer(event_id, raw)
    raise RefusedError(_BROKEN)


def id_of(raw: object) -> str | None:
    """The id for the receipt of an event that may have any form."""
    event_id = raw.get("id") if isinstance(raw, Mapping) else None
    return event_id[:_LONGEST_ID] if isinstance(event_id, str) else None


def _answer(event_id: str, raw: Mapping[str, Any]) -> SentAnswer:
    question, marked = raw.get("question"), raw.get("marked", ())
    if not isinstance(question, str) or not _are_integers(marked):
        raise RefusedError(_BROKEN)
    try:
        answer = GivenAnswer(raw.get("answer"))  # type: ignore[arg-type]
    except ValueError as error:
        raise RefusedError(_BROKEN) from error
    label, name = raw.get("label"), raw.get("new_class")
    if name is not None:
        name = _name(name)
    if (label is not None and not _is_integer(label)) or not isinstance(raw.get("suggestion_shown", False), bool):
        raise RefusedError(_BROKEN)
    if answer is GivenAnswer.LABEL and (label is None) == (name is None):
        raise RefusedError("Choose one class for this answer.")
    if answer is not GivenAnswer.LABEL and (label is not None or name is not None):
        raise RefusedError("A class can only be named together with a label.")
    return SentAnswer(
        id=event_id,
        question=question,
        answer=answer,
        label=label,
        new_class=name,
        marked=tuple(sorted(set(marked))),
        shown=_count(raw.get("shown", 1)),
        timing=_timing(raw.get("timing")),
        suggestion_shown=raw.get("suggestion_shown", False),
    )


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise RefusedError(_BROKEN)
    try:
        return tidy(name)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _timing(raw: object) -> Timing:
    if not isinstance(raw, Mapping):
        raise RefusedError(_BROKEN)
    gaps, first = raw.get("gaps_ms", ()), raw.get("first_input_ms")
    if not isinstance(gaps, Sequence) or isinstance(gaps, str) or len(gaps) > _MOST_GAPS:
        raise RefusedError(_BROKEN)
    return Timing(
        visible_ms=_milliseconds(raw.get("visible_ms")),
        first_input_ms=None if first is None else _milliseconds(first),
        gaps_ms=tuple(map(_milliseconds, gaps)),
    )


def _milliseconds(value: object) -> int:
    """A time that a page measured, to the millisecond."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _MOST_MS:  # type: ignore[operator]
        raise RefusedError("The page measured an impossible time; reload the page.")
    return round(value)  # type: ignore[call-overload, no-any-return]


def _count(value: object) -> int:
    if not _is_integer(value) or value < 0:  # type: ignore[operator]
        raise RefusedError(_BROKEN)
    return value  # type: ignore[return-value]


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_integers(values: object) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str | bytes) and all(map(_is_integer, values))
