"""The receipts that a page gets for what a person did."""

from typing import Any

from raycal.algorithm.records import Indices
from raycal.errors import counted
from raycal.people.board import Board
from raycal.people.events import GivenAnswer
from raycal.people.fold import Arrival, Given
from raycal.people.gold_notes import gold_note
from raycal.people.probe_notes import note_of

_LATER = {
    Arrival.SECOND: "; the question was answered before, so this is kept as a second opinion",
    Arrival.LATE: "; the step was closed before, so this is kept but not counted in it",
}


def receipt(event_id: str | None, status: str, seq: int | None, text: str, label: int | None = None) -> dict[str, Any]:
    """A receipt.

    Args:
        event_id: The id of the event; None if it has none.
        status: `stored`, `known`, `second`, `late` or `refused`.
        seq: The place of the event in the log; None if it is not stored.
        text: What the event did, or why it is refused.
        label: The class that the person gave.
    """
    empty = dict.fromkeys(("question", "check", "gold"))
    return {"id": event_id, "status": status, "seq": seq, "text": text, "label": label, **empty}


def receipt_of_answer(given: Given, board: Board, rows: Indices, noun: str, *, is_known: bool) -> dict[str, Any]:
    """The receipt of a stored answer. It is the same however often the answer is sent.

    Args:
        board: The questions and answers, this one included.
        rows: (P,) The row of each sample of the pool in the dataset.
        noun: The word for one sample.
        is_known: Whether the answer was sent before.
    """
    event = given.event
    status = {Arrival.FIRST: "known" if is_known else "stored", Arrival.SECOND: "second", Arrival.LATE: "late"}
    text = text_of(given, board, noun) + _LATER.get(given.arrival, "")
    outcome = board.probe_results.outcome(event.id)
    check = None if outcome is None else note_of(outcome, rows, noun)
    answer = board.gold_results.outcome(event.id)
    gold = None if answer is None else gold_note(answer, board.book.classes)
    if gold is not None:
        text = gold["text"]
    return {**receipt(event.id, status[given.arrival], event.seq, text, event.label), "check": check, "gold": gold}


def text_of(given: Given, board: Board, noun: str) -> str:
    """What an answer did, such as `211 images as robin`."""
    event = given.event
    found = board.find(event.question)
    size = 1 if found is None else len(found[1].by_distance)
    labeled, samples = counted(size - len(event.marked), noun), counted(size, noun)
    match event.answer:
        case GivenAnswer.LABEL:
            return f"{labeled} as {board.book.classes[event.label or 0]}"
        case GivenAnswer.REFUSED:
            return f"{samples} as mixed, without a label"
        case GivenAnswer.UNSURE:
            return f"{samples} left open"
        case GivenAnswer.SPLIT if event.halves:
            return f"{samples} split into {len(event.halves)} parts"
    return f"{samples} as mixed, because this cluster cannot be split"
