"""The queue of samples that people look at again, because their labels are in doubt; see `disagreements`.

The queue follows from the board and from the labels that the newest model doubts, so a server that starts again makes
the same one. It is computed again only when a step was closed, when an answer that belongs to no step was given or
taken back, or when there is a newer model.
"""

from collections.abc import Iterator, Mapping

from raycal.people.board import Board
from raycal.people.disagreements import OPINIONS, ClosedLabels, Disagreement, closed_labels, disagreements, shuffled
from raycal.people.events import Answered, Event, Undone
from raycal.people.model_doubts import Doubt


class LookAgain:
    """The samples to look at again. This class is not thread-safe, so its owner must hold a lock.

    Args:
        board: The questions and answers. `note` must be called for each event in it, and for each further one when the
            board has it.
        seed: The seed of the project, which decides the order in which a page shows labels.
    """

    def __init__(self, board: Board, seed: int) -> None:
        self._board, self._seed = board, seed
        self._checks: dict[str, None] = {}
        self._num_changes = 0
        self._doubts: Mapping[int, Doubt] = {}
        self._closed: tuple[tuple[int, int], ClosedLabels] | None = None
        self._found: tuple[tuple[int, int, int], dict[int, Disagreement]] | None = None

    def note(self, event: Event) -> None:
        """Take account of an event that the board has."""
        if isinstance(event, Answered):
            if event.purpose in OPINIONS:
                self._checks[event.question] = None
                self._num_changes += 1
        elif isinstance(event, Undone):
            self._num_changes += 1

    def note_doubts(self, doubts: Mapping[int, Doubt]) -> None:
        """Take account of the labels that the newest model doubts."""
        if doubts != self._doubts:
            self._doubts = doubts
            self._num_changes += 1

    def exists(self, sample: int) -> bool:
        """Whether a sample is in D^L, so that its label could be amended."""
        return sample in self._labels().singles

    def is_waiting(self, sample: int) -> bool:
        """Whether the label of a sample is in doubt, and nobody has looked at it again."""
        found = self._disagreements().get(sample)
        return found is not None and self._board.book.counted(found.question) is None

    def waiting(self) -> Iterator[str]:
        """The questions to ask, the one about the most doubtful label first."""
        for one in self._disagreements().values():
            if self._board.book.counted(one.question) is None:
                yield one.question

    def choices(self, sample: int) -> list[int]:
        """The labels in question, in an order that does not tell where they come from."""
        found, label = self._disagreements().get(sample), self._labels().singles[sample].label
        return shuffled([label or 0] if found is None else found.labels, sample, self._seed)

    def _labels(self) -> ClosedLabels:
        board = self._board
        state = len(board.book.closed), len(board.steps)
        if self._closed is None or self._closed[0] != state:
            self._closed = state, closed_labels(board.book, board.answered_steps())
        return self._closed[1]

    def _disagreements(self) -> dict[int, Disagreement]:
        labels = self._labels()
        state = len(self._board.book.closed), len(self._board.steps), self._num_changes
        if self._found is None or self._found[0] != state:
            self._found = state, disagreements(self._board.book, labels, self._checks, self._doubts)
        return self._found[1]
