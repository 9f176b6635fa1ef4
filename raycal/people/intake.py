"""Carries out what people do: answers, undone answers, new names of classes, and the end of a step or a round.

Nothing here is stored. Each function adds its events to a batch, which the project writes before anybody is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np

from raycal.algorithm.questions import Question
from raycal.algorithm.records import Indices, Kind
from raycal.people.board import StepBoard
from raycal.people.check_ids import check_of
from raycal.people.class_names import tidy
from raycal.people.events import Answered, ClassAdded, ClassRenamed, Closed, Event, GivenAnswer, Purpose, Undone
from raycal.people.fold import Arrival
from raycal.people.incoming import RefusedError, SentAnswer, SentUndo, id_of, parse
from raycal.people.memory import Batch, Memory
from raycal.people.receipts import receipt, receipt_of_answer, text_of


class Intake:
    """Carries out what people do. The caller holds the lock of the project.

    Args:
        memory: What the server keeps in memory about the project.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def accept(
        self, batch: Batch, who: str, client: str, raw: object, parts: Mapping[str, Sequence[Indices]]
    ) -> dict[str, Any]:
        """Carry out one event that a page sent, and return its receipt."""
        try:
            sent = parse(raw)
            known = self._memory.board.book.events.get(sent.id)
            if known is not None:
                return self._receipt(known, is_known=True)
            if isinstance(sent, SentUndo):
                return self._undo(batch, who, client, sent)
            return self._answer(batch, who, client, sent, parts)
        except RefusedError as error:
            return receipt(id_of(raw), "refused", None, str(error))

    def close_step(self, batch: Batch, step: StepBoard, who: str) -> None:
        """Close a step if all of its questions are answered."""
        memory = self._memory
        if step.is_closed or not step.is_complete:
            return
        iteration, number = step.step.iteration, step.step.step
        common = memory.common(f"closed.{iteration}.{number}", who)
        memory.add(batch, Closed(**common, iteration=iteration, step=number))
        batch.effects.append(lambda: memory.desk.drop(list(step.questions)))

    def close_round(self, batch: Batch, who: str) -> str | None:
        """Close the round, and return None; if it cannot be closed, return the reason."""
        memory = self._memory
        step = memory.open_step
        if step is None:
            return "No round is open now, so none can be closed."
        in_round = memory.board.steps_of(memory.iteration)
        if not any(one.num_labeled for one in in_round):
            return "Nothing was labeled in this round yet, so the model would learn nothing."
        if memory.holdout_size and not (memory.board.holdout >= 0).any():
            noun = memory.noun
            return f"No {noun} of the hold-out has a label yet, so the accuracy of the model could not be measured."
        common = memory.common(f"closed.{memory.iteration}", who)
        memory.add(batch, Closed(**common, iteration=memory.iteration, step=None))
        batch.effects.append(lambda: memory.desk.drop(list(step.questions)))
        return None

    def rename_class(self, batch: Batch, who: str, label: int, name: str) -> str | None:
        """Rename a class, and return None; if that is not possible, return the reason."""
        memory = self._memory
        if not memory.may_add_classes:
            return "The classes of this project are fixed, so none can be renamed."
        if not 0 <= label < memory.board.book.num_classes:
            return "This class does not exist; reload the page to see the classes."
        try:
            name = tidy(name)
        except ValueError as error:
            return str(error)
        other = memory.board.class_named(name)
        if other not in (None, label):
            return f"There is a class {memory.board.book.classes[other or 0]} already, and classes cannot be merged."
        if name != memory.board.book.classes[label]:
            memory.add(batch, ClassRenamed(**memory.common(f"renamed.{uuid4().hex}", who), label=label, name=name))
        return None

    def why_no_undo(self, who: str) -> str | None:
        """Why a person cannot take back an answer now, as a sentence. None if the last answer can be taken back."""
        book = self._memory.board.book
        given = book.last_answer_of(who)
        if given is None:
            return "There is no answer that you could take back."
        if given.event.purpose is Purpose.GOLD:
            return "You were told whether others agree with your last answer, so it cannot be taken back any more."
        question = given.event.question
        if book.is_closed(question):
            return "Your last answer belongs to a step that is closed, so it cannot be taken back any more."
        if book.counted(question) is given.event and any(book.counted(half) for half in _ids_of_halves(given.event)):
            return "Somebody has already answered about a part of this cluster, so it stays split."
        return None

    def _answer(
        self, batch: Batch, who: str, client: str, sent: SentAnswer, parts: Mapping[str, Sequence[Indices]]
    ) -> dict[str, Any]:
        memory = self._memory
        board = memory.board
        sent = replace(sent, question=memory.page_ids.in_log(sent.question))
        found = board.find(sent.question)
        check = check_of(sent.question)
        if found is None:
            if not memory.questions.exists(sent.question):
                raise RefusedError("This question does not exist any more; reload the page.")
            step, question, kind = None, None, Kind.SAMPLE
        else:
            step, question = found
            kind = step.step.kind
        if kind is Kind.SAMPLE and sent.answer not in (GivenAnswer.LABEL, GivenAnswer.UNSURE):
            raise RefusedError(f"A single {memory.noun} can be labeled or left open, but not refused or split.")
        marked, probes_found = self._marked(sent, question)
        known = memory.checks.gold.known_to(who, check) if check and check.purpose is Purpose.GOLD else None
        label = self._label(batch, who, sent)
        halves: Sequence[Indices] = ()
        if sent.answer is GivenAnswer.SPLIT and step is not None and not step.is_closed:
            halves = parts.get(sent.question, ())
        event = Answered(
            **memory.common(sent.id, who),
            question=sent.question,
            kind=kind,
            answer=sent.answer,
            label=label,
            purpose=check.purpose if check is not None else Purpose.HOLDOUT if step is None else Purpose.ROUND,
            timing=sent.timing,
            shown=min(sent.shown, 1 if question is None else len(question.by_distance)),
            marked=marked,
            halves=tuple(tuple(part.tolist()) for part in halves) if len(halves) > 1 else (),
            suggestion_shown=sent.suggestion_shown and memory.questions.has_guess(sent.question),
            probes=() if question is None else question.probes,
            probes_found=probes_found,
            known=known,
        )
        memory.add(batch, event)
        given = board.book.given(event.id)
        assert given is not None
        if given.arrival is Arrival.FIRST:
            batch.effects.append(lambda: memory.desk.finish(event.question))
            for number in range(len(event.halves)):
                memory.desk.reserve(f"{event.question}.{number}", who)
            if step is not None and step.is_complete:
                self.close_step(batch, step, who)
        else:
            batch.effects.append(lambda: memory.desk.release(client, [event.question]))
        return self._receipt(event)

    def _marked(self, sent: SentAnswer, question: Question | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The marked samples of the cluster, and the marked probes; the page sent the rows of both."""
        memory = self._memory
        if not sent.marked:
            return (), ()
        rows = memory.dataset.train_rows
        inside = [row for row in sent.marked if 0 <= row < len(memory.dataset.labels)]
        places = np.searchsorted(rows, np.array(inside, np.int64))
        known = places < len(rows)
        indices = places[known][rows[places[known]] == np.array(inside, np.int64)[known]]
        probes = [] if question is None else [probe.sample for probe in question.probes]
        is_probe = np.isin(indices, probes)
        indices, found = indices[~is_probe], indices[is_probe]
        is_complete = len(indices) + len(found) == len(sent.marked)
        if question is None or not is_complete or not np.isin(indices, question.by_distance).all():
            raise RefusedError(f"One of the marked {memory.noun}s does not belong to this question; reload the page.")
        if sent.answer is GivenAnswer.LABEL and len(indices) == len(question.by_distance):
            raise RefusedError(f'All {memory.noun}s are marked, so none is left to label; use "mixed" instead.')
        return tuple(np.sort(indices).tolist()), tuple(np.sort(found).tolist())

    def _label(self, batch: Batch, who: str, sent: SentAnswer) -> int | None:
        """The id of the class that the person chose; a new class is created first."""
        memory = self._memory
        if sent.new_class is None:
            if sent.label is not None and not 0 <= sent.label < memory.board.book.num_classes:
                raise RefusedError("This class does not exist; reload the page to see the classes.")
            return sent.label
        label = memory.board.class_named(sent.new_class)
        if label is not None:
            return label
        if not memory.may_add_classes:
            raise RefusedError("The classes of this project are fixed, so no class can be added.")
        added = ClassAdded(
            **memory.common(f"{sent.id}.class", who),
            name=sent.new_class,
            label=memory.board.book.num_classes,
        )
        memory.add(batch, added)
        return added.label

    def _undo(self, batch: Batch, who: str, client: str, sent: SentUndo) -> dict[str, Any]:
        memory = self._memory
        refusal, given = self.why_no_undo(who), memory.board.book.last_answer_of(who)
        if refusal is not None or given is None:
            raise RefusedError(refusal or "")
        question, halves = given.event.question, _ids_of_halves(given.event)
        event = Undone(**memory.common(sent.id, who), answer=given.event.id)
        memory.add(batch, event)
        if memory.is_waiting(question, who):
            memory.desk.reserve(question, who)
            batch.effects.append(lambda: self._show_again(client, who, question))
        batch.effects.append(lambda: memory.desk.drop(one for one in halves if not memory.board.is_waiting(one)))
        return self._receipt(event)

    def _show_again(self, client: str, who: str, question: str) -> None:
        if self._memory.is_waiting(question, who):
            self._memory.desk.put_on_screen(client, who, question)

    def _receipt(self, event: Event, *, is_known: bool = False) -> dict[str, Any]:
        """The receipt of a stored event. It is the same however often the event is sent."""
        memory = self._memory
        book = memory.board.book
        if isinstance(event, Undone):
            given = book.given(event.answer)
            assert given is not None
            question, label = given.event.question, given.event.label
            text = f"Taken back: {text_of(given, memory.board, memory.noun)}"
            return {
                **receipt(event.id, "known" if is_known else "stored", event.seq, text, label),
                "question": memory.questions.describe(question) if memory.questions.exists(question) else None,
            }
        given = book.given(event.id)
        assert given is not None
        return receipt_of_answer(given, memory.board, memory.dataset.train_rows, memory.noun, is_known=is_known)


def _ids_of_halves(event: Answered) -> list[str]:
    """The questions about the parts into which an answer split a cluster."""
    return [f"{event.question}.{number}" for number in range(len(event.halves))]
