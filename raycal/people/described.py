"""Describes questions in the form in which a page gets them."""

from dataclasses import dataclass
from typing import Any

from raycal.algorithm.records import Kind
from raycal.data.loaded import LoadedDataset
from raycal.people.asking import has_guesses
from raycal.people.board import Board, StepBoard, is_half
from raycal.people.checks import Checks
from raycal.people.events import Purpose
from raycal.people.looks import Looks
from raycal.people.page_ids import PageIds
from raycal.people.shown import ALL_AT_ONCE, bands, num_certainly_random, size_of_random_band


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptions:
    """The questions of a project as they are now.

    Attributes:
        dataset: The samples.
        board: The questions and answers.
        checks: The checks of labels.
        page_ids: The ids under which pages know single samples.
        open_step: The step whose questions people answer now. None if there is no such step.
        looks: How many samples of a large cluster a page shows.
    """

    dataset: LoadedDataset
    board: Board
    checks: Checks
    page_ids: PageIds
    open_step: StepBoard | None
    looks: Looks = ALL_AT_ONCE

    def exists(self, question_id: str) -> bool:
        """Whether there is such a question."""
        found = self.board.find(question_id), self.board.find_in_holdout(question_id)
        return found != (None, None) or self.checks.exists(question_id)

    def describe(self, question_id: str) -> dict[str, Any]:
        """An existing question in the form in which a page gets it."""
        found = self.board.find(question_id)
        if found is None or found[0].step.kind is Kind.SAMPLE:
            return self._sample(question_id)
        step, question = found
        return {
            "id": question_id,
            "kind": Kind.CLUSTER.value,
            "purpose": Purpose.ROUND.value,
            "size": len(question.by_distance),
            "half_of": question_id.rpartition(".")[0] if is_half(question) else None,
            "guess": self._guess(question.guess),
            "num_random": num_certainly_random(step.step, self.looks),
            **bands(question, self.dataset.train_rows, size_of_random_band(step.step, self.looks)),
        }

    def has_guess(self, question_id: str) -> bool:
        """Whether the page of a question could show a guess of the model."""
        found = self.board.find(question_id)
        if found is not None:
            return self._guess(found[1].guess) is not None
        return self.checks.exists(question_id) and self._guess(self.checks.sample(question_id).guess) is not None

    def _sample(self, question_id: str) -> dict[str, Any]:
        """A question about a single sample. A check looks like a question of the open step or, if that step asks about
        clusters or has guesses that the check lacks, like a question of the hold-out. Only a look again differs: it
        offers the labels in question first, without saying who gave them."""
        position, found = self.board.find_in_holdout(question_id), self.board.find(question_id)
        guess, place, choices = None, None, None
        if found is not None:
            step, question = found
            row = int(self.dataset.train_rows[question.by_distance[0]])
            guess, place = question.guess, (step.step.iteration, step.step.step)
        elif position is not None:
            row = int(self.dataset.test_rows[position])
        else:
            sample, open_step = self.checks.sample(question_id), self.open_step
            rows = self.dataset.test_rows if sample.is_in_holdout else self.dataset.train_rows
            row, needs_guess = int(rows[sample.position]), has_guesses(open_step)
            choices = self.checks.choices(question_id)
            is_of_step = open_step is not None and open_step.step.kind is Kind.SAMPLE and choices is None
            if open_step is not None and is_of_step and (sample.guess is not None or not needs_guess):
                guess = sample.guess if needs_guess else None
                place = open_step.step.iteration, open_step.step.step
        purpose = Purpose.HOLDOUT if place is None else Purpose.ROUND
        return {
            "id": self.page_ids.for_page(question_id, place),
            "kind": Kind.SAMPLE.value,
            "purpose": (purpose if choices is None else Purpose.LOOK_AGAIN).value,
            "size": 1,
            "image": row,
            "half_of": None,
            "guess": self._guess(guess),
            **({} if choices is None else {"choices": choices}),
        }

    def _guess(self, guess: int | None) -> int | None:
        """The class that the model guesses. None if there is no guess, or no class with this id."""
        return guess if guess is not None and guess < self.board.book.num_classes else None
