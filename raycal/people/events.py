"""The events of the answer log, and their form as lines of JSON.

An event is a fact: it is never changed or removed. What the events mean together is the subject of `fold`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from raycal.algorithm.questions import Probe
from raycal.algorithm.records import Kind


class GivenAnswer(StrEnum):
    """What a person answered."""

    LABEL = "label"
    REFUSED = "refused"
    UNSURE = "unsure"
    SPLIT = "split"


class Purpose(StrEnum):
    """What a question is for.

    Attributes:
        ROUND: The question belongs to a round of the experiment.
        HOLDOUT: The sample belongs to the hold-out, on which the models are measured.
        REPEAT: The person labels a single sample again, to measure how often people agree with themselves.
        SHARED: A second person labels a single sample, to measure how often two people agree.
        AUDIT: A sample that a cluster gave its label is labeled alone, to measure the error of such labels.
        LOOK_AGAIN: A sample of D^L whose label is in doubt is labeled once more; the new label replaces the old one.
        GOLD: A newcomer labels a sample whose label is known, to learn how others label.
    """

    ROUND = "round"
    HOLDOUT = "holdout"
    REPEAT = "repeat"
    SHARED = "shared"
    AUDIT = "audit"
    LOOK_AGAIN = "look_again"
    GOLD = "gold"


class KnownLabel(NamedTuple):
    """What was known about the sample of a gold question when a newcomer answered it.

    Attributes:
        label: The known class.
        people: How many people had given this class to the sample alone; nobody had given it another one.
        left: How many gold questions were left for the newcomer after this one.
    """

    label: int
    people: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the page measured while a question was on the screen, in milliseconds.

    Attributes:
        visible_ms: The time during which the page was visible and the person had not paused it.
        first_input_ms: The time until the first input. None if there was no input before the answer.
        gaps_ms: Each time without an input that was longer than five seconds.
    """

    visible_ms: int
    first_input_ms: int | None = None
    gaps_ms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The fields that all events have.

    Attributes:
        seq: The place of the event in the log, from 1 and without gaps.
        id: The unique id, which the page makes at the key press. By the id, the server recognizes an answer that is
            sent again.
        who: The pseudonym of the person.
        time: The time at which the server received the event, in UTC, in ISO 8601.
    """

    seq: int
    id: str
    who: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """A person answered a question.

    Attributes:
        question: The id of the question, such as `3.1.17` or, in the hold-out, `h.12`. `raycal.people.checks` has the
            ids of the questions that check labels.
        kind: Whether the question showed one image or a cluster.
        label: The class; None unless the answer is a label.
        marked: The samples of the cluster that the person marked because they do not belong to it, ascending. Marked
            probes are not among them.
        shown: The number of images that the person was shown.
        halves: The parts into which the cluster was split, each with its nearest sample first.
        suggestion_shown: Whether the person looked at the guess of the model before answering.
        probes: The probes that were hidden in the question.
        probes_found: The probes that the person marked, ascending.
        known: The label that a gold question compares with. None for all other questions.
    """

    question: str
    kind: Kind
    answer: GivenAnswer
    label: int | None
    purpose: Purpose
    timing: Timing
    shown: int = 1
    marked: tuple[int, ...] = ()
    halves: tuple[tuple[int, ...], ...] = ()
    suggestion_shown: bool = False
    probes: tuple[Probe, ...] = ()
    probes_found: tuple[int, ...] = ()
    known: KnownLabel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone(Event):
    """A person took back an answer.

    Attributes:
        answer: The id of the `Answered` event.
    """

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAdded(Event):
    """A person named a new class.

    Attributes:
        label: The id of the class, which is the number of classes before it.
    """

    name: str
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRenamed(Event):
    """A class has another name from now on; its id and all its labels stay."""

    label: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Event):
    """A step takes no more answers.

    Attributes:
        step: The number of the step. None means that the owner closed the whole round.
    """

    iteration: int
    step: int | None


def to_line(event: Event) -> str:
    """The event as one line of JSON, without a line break."""
    record: dict[str, Any] = {"type": _TYPE_NAMES[type(event)]}
    record |= {name: getattr(event, name) for name in _FIELDS[type(event)]}
    if isinstance(event, Answered):
        timing = event.timing
        record["timing"] = {
            "visible_ms": timing.visible_ms,
            "first_input_ms": timing.first_input_ms,
            "gaps_ms": timing.gaps_ms,
        }
        if not event.probes:  # so that the line is that of earlier versions
            del record["probes"], record["probes_found"]
        if event.known is None:
            del record["known"]
    return json.dumps(record, separators=(",", ":"))


def from_line(line: str | bytes) -> Event:
    """The event that a line holds.

    Raises:
        ValueError: The line is not an event that this version of raycal knows.
    """
    try:
        record = json.loads(line)
        read = _READERS[record["type"]]
        return read(record, {"seq": int(record["seq"]), **{name: str(record[name]) for name in ("id", "who", "time")}})
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an event: {error!r}") from error


def _answered(record: Mapping[str, Any], common: dict[str, Any]) -> Answered:
    timing = record["timing"]
    return Answered(
        **common,
        question=str(record["question"]),
        kind=Kind(record["kind"]),
        answer=GivenAnswer(record["answer"]),
        label=None if record["label"] is None else whole_number(record["label"]),
        purpose=Purpose(record["purpose"]),
        timing=Timing(
            visible_ms=whole_number(timing["visible_ms"]),
            first_input_ms=None if timing["first_input_ms"] is None else whole_number(timing["first_input_ms"]),
            gaps_ms=tuple(map(whole_number, timing["gaps_ms"])),
        ),
        shown=whole_number(record["shown"]),
        marked=tuple(map(whole_number, record["marked"])),
        halves=tuple(tuple(map(whole_number, half)) for half in record["halves"]),
        suggestion_shown=bool(record["suggestion_shown"]),
        probes=tuple(Probe(whole_number(index), whole_number(label)) for index, label in record.get("probes", ())),
        probes_found=tuple(map(whole_number, record.get("probes_found", ()))),
        known=KnownLabel(*map(whole_number, record["known"])) if "known" in record else None,
    )


def whole_number(value: object) -> int:
    """The value, if it is a whole number from 0.

    Raises:
        ValueError: It is something else.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} should be a whole number from 0")
    return value


def _undone(record: Mapping[str, Any], common: dict[str, Any]) -> Undone:
    return Undone(**common, answer=str(record["answer"]))


def _class_added(record: Mapping[str, Any], common: dict[str, Any]) -> ClassAdded:
    return ClassAdded(**common, name=str(record["name"]), label=int(record["label"]))


def _class_renamed(record: Mapping[str, Any], common: dict[str, Any]) -> ClassRenamed:
    return ClassRenamed(**common, name=str(record["name"]), label=int(record["label"]))


def _closed(record: Mapping[str, Any], common: dict[str, Any]) -> Closed:
    step = record["step"]
    return Closed(**common, iteration=int(record["iteration"]), step=None if step is None else int(step))


_READERS: Mapping[str, Callable[[Mapping[str, Any], dict[str, Any]], Event]] = {
    "answered": _answered,
    "undone": _undone,
    "class_added": _class_added,
    "class_renamed": _class_renamed,
    "closed": _closed,
}
_TYPE_NAMES: Mapping[type[Event], str] = {
    Answered: "answered",
    Undone: "undone",
    ClassAdded: "class_added",
    ClassRenamed: "class_renamed",
    Closed: "closed",
}
_FIELDS: Mapping[type[Event], tuple[str, ...]] = {
    kind: tuple(name for one in reversed(kind.__mro__) for name in getattr(one, "__annotations__", ()))
    for kind in _TYPE_NAMES
}
