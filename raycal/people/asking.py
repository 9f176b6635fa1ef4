"""Chooses which questions a page gets next.

A newcomer begins with gold questions. For everybody else, the first few questions of the hold-out come first, then
those of the open step, then the rest of the hold-out. Checks of labels come in between at a small share, and whenever
nothing else is left to do.
"""

from collections.abc import Sequence

from raycal.algorithm.records import Kind
from raycal.people.board import Board, StepBoard
from raycal.people.check_ids import check_of
from raycal.people.checks import Checks
from raycal.people.desk import Desk, QuestionLease

# The number of questions of the hold-out that come before the first question of a round.
HOLDOUT_FIRST = 20


def leases_of(desk: Desk, step: StepBoard) -> dict[str, QuestionLease]:
    """The leases on those questions of a step that still have to be answered."""
    return desk.held({question.id for question in step.waiting()})


def has_guesses(step: StepBoard | None) -> bool:
    """Whether the step asks about single samples for which a model has guesses."""
    return step is not None and step.step.kind is Kind.SAMPLE and any(one.guess is not None for one in step.step.first)


class Asking:
    """The choice of questions for one page.

    Args:
        desk: The leases.
        board: The questions and answers.
        checks: The checks of labels.
        step: The step whose questions people answer now. None if there is no such step.
        who: The person.
        client: The page of the person, which the desk must have seen.
        holding: The questions that the page has.
    """

    def __init__(
        self,
        desk: Desk,
        board: Board,
        checks: Checks,
        step: StepBoard | None,
        *,
        who: str,
        client: str,
        holding: Sequence[str],
    ) -> None:
        self._desk, self._board, self._checks, self._step = desk, board, checks, step
        self._who, self._client, self._holding = who, client, holding
        self._given: list[str] = []

    def take(self, want: int) -> list[str]:
        """Up to `want` further questions for the page.

        A page that would have nothing to do waits for a question that another page has in memory only, and is asked to
        give up. In the meantime it gets checks.
        """
        self._take(self._checks.gold.due(self._who, self._desk.held()), want)
        held_out = self._board.waiting_in_holdout()
        waiting = [] if self._step is None else [question.id for question in self._step.waiting()]
        if held_out:
            missing = min(HOLDOUT_FIRST, len(self._board.holdout)) - self._board.num_answered_in_holdout
            most = min(want - len(self._given), max(0, missing - self._num_held_by_others(held_out)))
            self._take(held_out, most)
        while (left := want - len(self._given)) > 0:
            before = len(self._given)
            number = self._checks.num_before_check(self._who, len(self._holding) + before, left)
            if number == 0:
                self._take_checks(1, only_with_guess=has_guesses(self._step), is_in_between=True)
            if len(self._given) == before:
                self._take_others(waiting, held_out, max(1, number))
            if len(self._given) == before:
                break
        if len(self._given) < want and not any(check_of(one) is None for one in [*self._given, *self._holding]):
            given_up = self._desk.take_over(self._client, waiting) or self._desk.take_over(self._client, held_out)
            self._given.extend(filter(None, [given_up]))
        self._take_checks(want - len(self._given))
        return self._given

    def _take_others(self, waiting: Sequence[str], held_out: Sequence[str], most: int) -> None:
        """Take up to `most` questions of the step and, if these are fewer, of the hold-out."""
        before = len(self._given)
        if self._step is not None:
            self._take(waiting, most, self._step.left - len(leases_of(self._desk, self._step)))
        taken = len(self._given) - before
        if taken < most:
            self._take(held_out, most - taken)

    def _take_checks(self, most: int, *, only_with_guess: bool = False, is_in_between: bool = False) -> None:
        if most > 0:
            most_due = most + sum(check_of(one) is not None for one in self._desk.held())
            due = self._checks.due(self._who, most_due, only_with_guess=only_with_guess, is_in_between=is_in_between)
            self._take(due, most)

    def _take(self, questions: Sequence[str], most: int, room: int | None = None) -> None:
        holding = [*self._holding, *self._given]
        self._given.extend(self._desk.take(self._client, questions, most, holding=holding, room=room))

    def _num_held_by_others(self, questions: Sequence[str]) -> int:
        """How many of these questions are held by other pages, or by this page unless they were lost on the way to
        it."""
        leases = self._desk.held(set(questions))
        return sum(lease.client != self._client or one in self._holding for one, lease in leases.items())
