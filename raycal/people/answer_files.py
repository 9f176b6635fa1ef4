"""The files that record who gave which answer and how long it took: one file per finished round, beside the ledger.

The ledger says what the experiment paid for. These files say how people worked for it: each answer that arrived in a
round is one row. The rows include answers that were taken back, that came too late, or that were about the hold-out.
The seconds of an interaction in the ledger are the sum over the rows that have its number and the role `counted` or
`taken back`. The files hold no names, only pseudonyms, and no time of day.

A file is a function of the log up to the end of its round, so it has the same bytes whenever it is written.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import pyarrow as pa

from raycal.algorithm.records import Interaction
from raycal.people.clock import answer_ms
from raycal.people.events import Event
from raycal.people.fold import Arrival, Book, Given, book_when_closed, step_of
from raycal.people.log import PEOPLE, read_events
from raycal.people.results import RESULTS
from raycal.people.steps import STEPS, StepFiles
from raycal.storage import ledger
from raycal.storage.checkpoints import iteration_name
from raycal.storage.folder import Folder
from raycal.storage.parquet import parquet_of

LEDGER = "ledger"
SCHEMA = pa.schema(
    [
        ("interaction", pa.int64()),
        ("question", pa.string()),
        ("annotator", pa.string()),
        ("purpose", pa.string()),
        ("kind", pa.string()),
        ("role", pa.string()),
        ("answer", pa.string()),
        ("label", pa.int32()),
        ("shown", pa.int32()),
        ("marked", pa.list_(pa.int64())),
        ("seconds", pa.float64()),
        ("suggestion_shown", pa.bool_()),
    ]
)


class Role(StrEnum):
    """What became of an answer by the end of its round.

    Attributes:
        COUNTED: The answer is in the ledger or, for an image of the hold-out, is the label of the image.
        TAKEN_BACK: The person took the answer back. Its time belongs to the answer that replaced it.
        SECOND_OPINION: The question had an answer already.
        LATE: The step of the question was closed already.
    """

    COUNTED = "counted"
    TAKEN_BACK = "taken back"
    SECOND_OPINION = "second opinion"
    LATE = "late"


class AnswerFiles:
    """The files `people/iteration-000.parquet` and so on in the folder of a run.

    Args:
        run_folder: The folder of the run.
    """

    def __init__(self, run_folder: Folder) -> None:
        self._run_folder = run_folder
        self._folder = run_folder.folder(PEOPLE)

    def write_missing(self) -> None:
        """Write the file of each finished round that has no file yet."""
        num_rounds = len((self._run_folder.read(RESULTS) or b"").splitlines())
        missing = [number for number in range(num_rounds) if not self._folder.exists(_file_name(number))]
        if not missing:
            return
        events = read_events(self._run_folder)
        for iteration in missing:
            self._folder.write(_file_name(iteration), _to_parquet(self._rows(events, iteration)))

    def num_rounds(self) -> int:
        """How many rounds were ever finished. Rounds count from which the model is learning again, because their
        results are being computed once more: their files are still there."""
        num_results = len((self._run_folder.read(RESULTS) or b"").splitlines())
        return max(num_results, len(self._folder.names("iteration-*.parquet")))

    def _rows(self, events: Sequence[Event], iteration: int) -> list[dict[str, object]]:
        """The rows of a round in the order of the log: one row per answer that arrived after the end of the previous
        round.
        """
        book = book_when_closed(events, iteration)
        start = book_when_closed(events, iteration - 1).last_seq if iteration else 0
        given = [one for one in book.all_answers() if one.event.seq > start]
        interactions = self._interactions(book, {place[0] for one in given if (place := step_of(one.event.question))})
        return [_row(book, one, interactions.get(one.event.question)) for one in given]

    def _interactions(self, book: Book, iterations: set[int]) -> dict[str, int]:
        """The number of each interaction in some rounds, by the id of its question."""
        steps = StepFiles(self._run_folder.folder(STEPS))
        numbers: dict[str, int] = {}
        for iteration in iterations:
            for number, rows in _by_step(self._ledger_of(iteration)):
                step = steps.read(iteration, number)
                if step is not None:
                    answered = step.answered(book.replies(step))
                    numbers |= {question.id: row.interaction for question, row in zip(answered, rows, strict=True)}
        return numbers

    def _ledger_of(self, iteration: int) -> Sequence[Interaction]:
        content = self._run_folder.folder(LEDGER).read(_file_name(iteration))
        return () if content is None else ledger.from_parquet(content)


def role_of(book: Book, given: Given) -> Role:
    """What became of an answer."""
    if given.arrival is Arrival.LATE:
        return Role.LATE
    if given.undone_at is not None:
        return Role.TAKEN_BACK
    return Role.COUNTED if book.counted(given.event.question) is given.event else Role.SECOND_OPINION


def _row(book: Book, given: Given, interaction: int | None) -> dict[str, object]:
    event = given.event
    return {
        "interaction": interaction,
        "question": event.question,
        "annotator": event.who,
        "purpose": event.purpose.value,
        "kind": event.kind.value,
        "role": role_of(book, given).value,
        "answer": event.answer.value,
        "label": event.label,
        "shown": event.shown,
        "marked": list(event.marked),
        "seconds": answer_ms(event) / 1000,
        "suggestion_shown": event.suggestion_shown,
    }


def _by_step(rows: Sequence[Interaction]) -> Iterator[tuple[int, list[Interaction]]]:
    for number in sorted({row.step for row in rows}):
        yield number, [row for row in rows if row.step == number]


def _file_name(iteration: int) -> str:
    return f"{iteration_name(iteration)}.parquet"


def _to_parquet(rows: Sequence[dict[str, object]]) -> bytes:
    """The rows as a Parquet file; the same rows give the same bytes."""
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    return parquet_of(pa.table(columns, schema=SCHEMA))
