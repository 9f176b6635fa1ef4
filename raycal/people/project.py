"""A project in which people answer questions. A server passes requests to the project, which does not depend on the
server.

All methods can be called from many threads at the same time. An answer is acknowledged when it is on the disk.
"""

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self
from uuid import uuid4

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.data.loaded import LoadedDataset, TextDataset
from raycal.errors import InputError, counted
from raycal.people.answer_files import AnswerFiles
from raycal.people.asking import HOLDOUT_FIRST, Asking, leases_of
from raycal.people.board import Board, StepBoard
from raycal.people.check_ids import check_of
from raycal.people.checks import CheckRates, Checks
from raycal.people.class_names import tidy
from raycal.people.described import Descriptions
from raycal.people.desk import Desk
from raycal.people.events import Answered, ClassAdded, ClassRenamed, Closed, Event, GivenAnswer, Purpose, Undone
from raycal.people.fold import Arrival
from raycal.people.guidelines import Guidelines, describe_guidelines
from raycal.people.incoming import RefusedError, SentAnswer, SentUndo, id_of, parse
from raycal.people.log import GROUP_SECONDS, PEOPLE, AnswerLog, GroupCommit, NotStoredError
from raycal.people.looks import Looks
from raycal.people.model_doubts import Doubt, model_doubts
from raycal.people.page_ids import PageIds
from raycal.people.progress import Progress, read_progress
from raycal.people.project_samples import list_name
from raycal.people.receipts import receipt, receipt_of_answer, text_of
from raycal.people.results import read_results
from raycal.people.shown import ALL_AT_ONCE, beginning, more_images, size_of_random_band, whole
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import StopRules
from raycal.storage.folder import Folder
from raycal.storage.out_of_fold import newest_out_of_fold

PREPARING, OPEN, TRAINING, WAITING, FINISHED = PHASES = ("preparing", "open", "training", "waiting", "finished")
# With fewer answers than this, no time is estimated.
FEW_ANSWERS = 3
_MESSAGES = {
    PREPARING: "The model prepares the next questions.",
    TRAINING: "The model is being trained, which takes about a minute.",
    WAITING: "The model cannot be trained now. All answers are stored.",
    FINISHED: "All rounds are finished. Thank you!",
}

Halve = Callable[[Question], Sequence[Indices]]


def utc_now() -> str:
    """The time of day in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def project_id(run_folder: Folder) -> str:
    """An id of the project in this folder, under which a browser keeps the answers to this project."""
    return sha256(run_folder.uri.encode()).hexdigest()[:16]


@dataclass
class _Batch:
    """The requests that are stored by one write.

    Attributes:
        events: The events to store.
        effects: The functions to call when the events are stored.
    """

    events: list[Event] = field(default_factory=list)
    effects: list[Callable[[], None]] = field(default_factory=list)


_Request = Callable[[_Batch], Any]


class Project:
    """A project that people label.

    Args:
        name: The name of the project.
        run_folder: The folder of the run, whose log of answers nobody else may write.
        dataset: The samples.
        class_names: The classes that are known from the beginning.
        may_add_classes: Whether people may name new classes.
        holdout: How many samples of the test split people label; 0 if the dataset knows their labels.
        rounds: The number of planned rounds.
        round_budget: The number of questions of a round.
        stop_rules: The rules by which the project suggests to stop.
        checks: How many questions check labels. None means that there are no checks.
        seed: The seed of the project, which decides what is checked.
        guidelines: What the owner tells the people. None means that the owner says nothing.
        looks: How many samples of a large cluster a page shows.
        clock: Returns the time in seconds since any fixed moment.
        now: Returns the time of day that the log records.
        group_seconds: How long an answer waits for others that are stored with it.
        epoch: Distinguishes this start of the server from others. None means a new epoch.

    Raises:
        InputError: Another process serves this project, or its folder cannot be used.
    """

    def __init__(
        self,
        *,
        name: str,
        run_folder: Folder,
        dataset: LoadedDataset,
        class_names: Sequence[str] = (),
        may_add_classes: bool = True,
        holdout: int = 0,
        rounds: int = 0,
        round_budget: int = 0,
        stop_rules: StopRules | None = None,
        checks: CheckRates | None = None,
        seed: int = 0,
        guidelines: Guidelines | None = None,
        looks: Looks = ALL_AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], str] = utc_now,
        group_seconds: float = GROUP_SECONDS,
        epoch: str | None = None,
    ) -> None:
        self.name, self.epoch = name, epoch or uuid4().hex
        self._id = project_id(run_folder)
        self._run_folder, self._dataset, self._holdout_size = run_folder, dataset, holdout
        self._noun = dataset.noun
        self._class_names, self._may_add_classes = tuple(class_names), may_add_classes
        self._rounds, self._round_budget = rounds, round_budget
        self._stop_rules = stop_rules or StopRules()
        self._guidelines, self._looks = guidelines or Guidelines(), looks
        self._check_rates, self._seed = checks or CheckRates(), seed
        # The key is not the id of the project, because pages know that one.
        self._page_ids = PageIds(f"{run_folder.uri} {seed}" if self._check_rates.are_on else None)
        self._now = now
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._num_changes = 0
        self._desk = Desk(clock)
        self._step: StepBoard | None = None
        self._halve: Halve | None = None
        self._iteration, self._phase, self._message = 0, PREPARING, ""
        self._log = AnswerLog(run_folder)
        try:
            self._board = self._new_board(StepFiles(run_folder.folder(STEPS)).read_all(), self._log.events)
            self._doubts = self._read_doubts()
            self._checks = self._new_checks()
            self._refuse_other_answers()
        except BaseException:
            self._log.close()
            raise
        self._log.events = []
        self._stored_seq = self._board.book.last_seq
        # How many rounds were finished before this start of the server.
        self.rounds_before = AnswerFiles(run_folder).num_rounds()
        self._results, self._progress = self._read_results()
        self._commit: GroupCommit[_Request, Any] = GroupCommit(self._handle, group_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process serve the project. Afterwards no other method may be called."""
        self._log.close()

    # Methods that the rounds call.

    def open_step(
        self,
        step: StepQuestions | None,
        iteration: int,
        phase: str,
        message: str = "",
        halve: Halve | None = None,
    ) -> None:
        """Say what the experiment does now, and which questions people are to answer.

        Args:
            step: The questions. None means that there are no questions now.
            phase: `preparing`, `open`, `training`, `waiting` or `finished`.
            message: A sentence for the people. Empty means the usual sentence of the phase.
            halve: Cuts a cluster in parts. An empty result or a single part means that it cannot be cut.
        """
        if phase not in PHASES:
            raise ValueError(f"unknown phase {phase!r}")
        results, progress = self._read_results()
        doubts = self._read_doubts()
        with self._lock:
            self._step = None if step is None else self._board.add_step(step)
            self._halve, self._iteration, self._phase, self._message = halve, iteration, phase, message
            # While the model learns again from earlier rounds, the results of all rounds stay on the page.
            if _num_rounds(progress) >= _num_rounds(self._progress):
                self._results, self._progress = results, progress
            self._doubts = doubts
            self._checks.note_doubts(doubts)
            self._note_change()
            opened = self._open_step
        if opened is not None and opened.is_complete:  # nobody can give another answer, which would close the step
            self._commit(lambda batch: None if self._step is None else self._close_step(batch, self._step, who=""))

    def wait_closed(self, timeout: float) -> bool:
        """Wait until the open step is closed. Return False if it is still open after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_step_closed, timeout)

    @property
    def num_changes(self) -> int:
        """A number that grows whenever the state may have changed."""
        with self._lock:
            return self._num_changes

    # Methods that the pages call.

    def state(self, who: str) -> dict[str, Any]:
        """What a page shows besides the question."""
        with self._lock:
            board, step = self._board, self._step
            in_round = board.steps_of(self._iteration)
            round_answered = sum(len(one.replies) for one in in_round)
            sizes = board.class_sizes()
            return {
                "project": self.name,
                "project_id": self._id,
                "noun": self._noun,
                "who": who,
                "phase": self._phase,
                "message": self._message or _MESSAGES.get(self._phase, ""),
                "iteration": self._iteration,
                "rounds": self._rounds,
                "step": None if step is None else step.step.step,
                "kind": None if step is None else step.step.kind.value,
                "answered": 0 if step is None else len(step.replies),
                "budget": self._round_budget,
                "round_answered": round_answered,
                "minutes_left": self._minutes_left(round_answered),
                "classes": [
                    {"id": label, "name": name, "count": sizes[label]} for label, name in enumerate(board.book.classes)
                ],
                "may_add_classes": self._may_add_classes,
                "holdout": {
                    "size": self._holdout_size,
                    "answered": board.num_answered_in_holdout,
                    "first": min(HOLDOUT_FIRST, self._holdout_size),
                },
                "results": self._results,
                "rounds_before": self.rounds_before,
                "progress": None if self._progress is None else self._progress.for_page(),
                "labeled": sum(sizes),
                "total": self._dataset.num_train + self._holdout_size,
                "people": len(self._desk.people),
                "looks": self._looks.for_page(board.probe_results, who),
                "can_undo": self._why_no_undo(who) is None,
                "epoch": self.epoch,
                "is_open": True,
            }

    def next(self, who: str, client: str, holding: Sequence[str], want: int) -> dict[str, Any]:
        """Give a page further questions.

        Args:
            client: The page, of which a person may have several.
            holding: The questions that the page has, the one on its screen first.
            want: How many further questions the page would like to have.

        Returns:
            A mapping: `questions` are the further questions, `lost` are the questions that the page should drop, and
            `wait` is None or a sentence that says why the page has nothing to show.
        """
        with self._lock:
            lost = self._see(who, client, holding)
            held = [self._page_ids.in_log(one) for one in holding if one not in lost]
            given: list[str] = []
            if want > 0 and self._phase != FINISHED:
                asking = Asking(
                    self._desk, self._board, self._checks, self._open_step, who=who, client=client, holding=held
                )
                given = asking.take(want)
            return {
                "questions": [self._questions.describe(one) for one in given],
                "lost": lost,
                "wait": None if given or held else self._reason_to_wait(who, client),
            }

    def heartbeat(self, who: str, client: str, holding: Sequence[str]) -> dict[str, Any]:
        """Note that a page is still open. `lost` in the result are the questions that it should drop."""
        with self._lock:
            return {"lost": self._see(who, client, holding)}

    def more(self, who: str, question: str, page: int) -> dict[str, Any]:
        """Further samples of a cluster; page 0 follows the samples that came with the question.

        Raises:
            RefusedError: There is no such question.
        """
        with self._lock:
            found = self._board.find(question)
        if found is None:
            raise RefusedError("This question does not exist any more.")
        step, cluster = found
        num_random = size_of_random_band(step.step, self._looks)
        rows = self._dataset.train_rows
        return {"images": more_images(cluster, rows, page, num_random=num_random, more=self._looks.more)}

    def guidelines(self) -> dict[str, Any]:
        """What the owner tells about the classes, and examples of each class."""
        with self._lock:
            return describe_guidelines(
                self._guidelines, self._board, self._dataset.train_rows, self._checks.gold.agree_about
            )

    def texts(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """The row and the beginning of each of these texts. A row that is no text is left out."""
        return [(row, beginning(self._text_in(row))) for row in dict.fromkeys(rows) if self._has_text(row)]

    def text(self, row: int) -> dict[str, Any]:
        """A text, up to the length that people see, and its number of characters.

        Raises:
            IndexError: There is no such text.
        """
        if not self._has_text(row):
            raise IndexError(f"there is no text {row}")
        return whole(self._text_in(row))

    def submit(self, who: str, client: str, events: Sequence[object]) -> list[dict[str, Any]]:
        """Store what a person did, and return one receipt for each event. Sending an event again changes nothing.

        Raises:
            NotStoredError: Nothing was stored, for instance because the disk is full.
        """
        parts = self._parts_of_split_clusters(events)
        receipts: list[dict[str, Any]] = self._commit(
            lambda batch: [self._accept(batch, who, client, raw, parts) for raw in events]
        )
        return receipts

    def close_round(self, who: str) -> dict[str, Any]:
        """End the round now: the model trains with what was labeled.

        Raises:
            RefusedError: The round cannot be closed yet.
            NotStoredError: The round is still open, for instance because the disk is full.
        """
        refusal: str | None = self._commit(lambda batch: self._close_round(batch, who))
        if refusal is not None:
            raise RefusedError(refusal)
        return self.state(who)

    def rename_class(self, who: str, label: int, name: str) -> dict[str, Any]:
        """Give a class another name; its id and all its labels stay.

        Raises:
            RefusedError: There is no such class, its name is fixed, or the new name cannot be used.
            NotStoredError: The class has its old name, for instance because the disk is full.
        """
        refusal: str | None = self._commit(lambda batch: self._rename_class(batch, who, label, name))
        if refusal is not None:
            raise RefusedError(refusal)
        return self.state(who)

    def release(self, client: str, questions: Sequence[str] | None = None) -> None:
        """Free questions that a page gives back. None means that the page is closed and gives back all of them."""
        with self._lock:
            if questions is None:
                self._desk.leave(client)
            else:
                self._desk.release(client, map(self._page_ids.in_log, questions))
            self._note_change()  # somebody may be waiting for these questions

    # How requests are stored together.

    def _note_change(self) -> None:
        self._num_changes += 1
        self._changed.notify_all()

    def _handle(self, requests: Sequence[_Request]) -> list[Any]:
        """Carry out requests, store all their events in one write, and only then return their outcomes."""
        batch = _Batch()
        try:
            with self._lock:
                outcomes = [request(batch) for request in requests]
            if batch.events:
                self._log.write(batch.events)
        except BaseException:
            with self._lock:
                self._forget_what_is_not_stored()
            raise
        with self._lock:
            self._stored_seq = self._board.book.last_seq
            for effect in batch.effects:
                effect()
            self._note_change()
        return outcomes

    def _add(self, batch: _Batch, event: Event) -> None:
        batch.events.append(event)
        self._board.apply(event)
        self._checks.note(event)

    def _common(self, event_id: str, who: str) -> dict[str, Any]:
        return {"seq": self._board.book.last_seq + 1, "id": event_id, "who": who, "time": self._now()}

    def _forget_what_is_not_stored(self) -> None:
        stored = [event for event in self._board.book.events.values() if event.seq <= self._stored_seq]
        if len(stored) == len(self._board.book.events):
            return
        place = None if self._step is None else (self._step.step.iteration, self._step.step.step)
        self._board = self._new_board([one.step for one in self._board.steps.values()], stored)
        self._checks = self._new_checks()
        self._step = None if place is None else self._board.steps[place]

    def _new_board(self, steps: Sequence[StepQuestions], events: Sequence[Event]) -> Board:
        return Board(
            class_names=self._class_names,
            num_pool=self._dataset.num_train,
            num_holdout=self._holdout_size,
            steps=steps,
            events=events,
        )

    def _new_checks(self) -> Checks:
        return Checks(self._board, self._check_rates, self._seed, self._doubts)

    def _read_doubts(self) -> Mapping[int, Doubt]:
        if not self._check_rates.look_again:
            return {}
        return model_doubts(newest_out_of_fold(self._run_folder))

    def _refuse_other_answers(self) -> None:
        """Refuse a log whose answers are not about the questions and the classes of this project.

        Raises:
            InputError: A file with questions or the list of samples was removed or replaced, or an answer was changed.
        """
        for event in self._board.book.events.values():
            if not isinstance(event, Answered):
                continue
            if not self._questions.exists(event.question):
                of_samples = list_name(self._dataset.kind)
                problem = f"question {event.question}, which is neither in people/steps nor in {of_samples}"
            elif event.label is not None and event.label >= self._board.book.num_classes:
                problem = f"class {event.label}, which nobody has named"
            else:
                continue
            raise InputError(
                f"{self._run_folder.place}/{PEOPLE}/answers: an answer is about the {problem}; restore these files "
                "from a copy"
            )

    # Answers.

    def _accept(
        self, batch: _Batch, who: str, client: str, raw: object, parts: Mapping[str, Sequence[Indices]]
    ) -> dict[str, Any]:
        """Carry out one event that a page sent, and return its receipt."""
        try:
            sent = parse(raw)
            known = self._board.book.events.get(sent.id)
            if known is not None:
                return self._receipt(known, is_known=True)
            if isinstance(sent, SentUndo):
                return self._undo(batch, who, client, sent)
            return self._answer(batch, who, client, sent, parts)
        except RefusedError as error:
            return receipt(id_of(raw), "refused", None, str(error))

    def _answer(
        self, batch: _Batch, who: str, client: str, sent: SentAnswer, parts: Mapping[str, Sequence[Indices]]
    ) -> dict[str, Any]:
        board = self._board
        sent = replace(sent, question=self._page_ids.in_log(sent.question))
        found = board.find(sent.question)
        check = check_of(sent.question)
        if found is None:
            if not self._questions.exists(sent.question):
                raise RefusedError("This question does not exist any more; reload the page.")
            step, question, kind = None, None, Kind.SAMPLE
        else:
            step, question = found
            kind = step.step.kind
        if kind is Kind.SAMPLE and sent.answer not in (GivenAnswer.LABEL, GivenAnswer.UNSURE):
            raise RefusedError(f"A single {self._noun} can be labeled or left open, but not refused or split.")
        marked, probes_found = self._marked(sent, question)
        known = self._checks.gold.known_to(who, check) if check and check.purpose is Purpose.GOLD else None
        label = self._label(batch, who, sent)
        halves: Sequence[Indices] = ()
        if sent.answer is GivenAnswer.SPLIT and step is not None and not step.is_closed:
            halves = parts.get(sent.question, ())
        event = Answered(
            **self._common(sent.id, who),
            question=sent.question,
            kind=kind,
            answer=sent.answer,
            label=label,
            purpose=check.purpose if check is not None else Purpose.HOLDOUT if step is None else Purpose.ROUND,
            timing=sent.timing,
            shown=min(sent.shown, 1 if question is None else len(question.by_distance)),
            marked=marked,
            halves=tuple(tuple(part.tolist()) for part in halves) if len(halves) > 1 else (),
            suggestion_shown=sent.suggestion_shown and self._questions.has_guess(sent.question),
            probes=() if question is None else question.probes,
            probes_found=probes_found,
            known=known,
        )
        self._add(batch, event)
        given = board.book.given(event.id)
        assert given is not None
        if given.arrival is Arrival.FIRST:
            batch.effects.append(lambda: self._desk.finish(event.question))
            for number in range(len(event.halves)):
                self._desk.reserve(f"{event.question}.{number}", who)
            if step is not None and step.is_complete:
                self._close_step(batch, step, who)
        else:
            batch.effects.append(lambda: self._desk.release(client, [event.question]))
        return self._receipt(event)

    def _marked(self, sent: SentAnswer, question: Question | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The marked samples of the cluster, and the marked probes; the page sent the rows of both."""
        if not sent.marked:
            return (), ()
        rows = self._dataset.train_rows
        inside = [row for row in sent.marked if 0 <= row < len(self._dataset.labels)]
        places = np.searchsorted(rows, np.array(inside, np.int64))
        known = places < len(rows)
        indices = places[known][rows[places[known]] == np.array(inside, np.int64)[known]]
        probes = [] if question is None else [probe.sample for probe in question.probes]
        is_probe = np.isin(indices, probes)
        indices, found = indices[~is_probe], indices[is_probe]
        is_complete = len(indices) + len(found) == len(sent.marked)
        if question is None or not is_complete or not np.isin(indices, question.by_distance).all():
            raise RefusedError(f"One of the marked {self._noun}s does not belong to this question; reload the page.")
        if sent.answer is GivenAnswer.LABEL and len(indices) == len(question.by_distance):
            raise RefusedError(f'All {self._noun}s are marked, so none is left to label; use "mixed" instead.')
        return tuple(np.sort(indices).tolist()), tuple(np.sort(found).tolist())

    def _label(self, batch: _Batch, who: str, sent: SentAnswer) -> int | None:
        """The id of the class that the person chose; a new class is created first."""
        if sent.new_class is None:
            if sent.label is not None and not 0 <= sent.label < self._board.book.num_classes:
                raise RefusedError("This class does not exist; reload the page to see the classes.")
            return sent.label
        label = self._board.class_named(sent.new_class)
        if label is not None:
            return label
        if not self._may_add_classes:
            raise RefusedError("The classes of this project are fixed, so no class can be added.")
        added = ClassAdded(
            **self._common(f"{sent.id}.class", who), name=sent.new_class, label=self._board.book.num_classes
        )
        self._add(batch, added)
        return added.label

    def _undo(self, batch: _Batch, who: str, client: str, sent: SentUndo) -> dict[str, Any]:
        refusal, given = self._why_no_undo(who), self._board.book.last_answer_of(who)
        if refusal is not None or given is None:
            raise RefusedError(refusal or "")
        question, halves = given.event.question, _ids_of_halves(given.event)
        event = Undone(**self._common(sent.id, who), answer=given.event.id)
        self._add(batch, event)
        if self._is_waiting(question, who):
            self._desk.reserve(question, who)
            batch.effects.append(lambda: self._show_again(client, who, question))
        batch.effects.append(lambda: self._desk.drop(one for one in halves if not self._board.is_waiting(one)))
        return self._receipt(event)

    def _why_no_undo(self, who: str) -> str | None:
        """Why a person cannot take back an answer now, as a sentence. None if the last answer can be taken back."""
        book = self._board.book
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

    def _show_again(self, client: str, who: str, question: str) -> None:
        if self._is_waiting(question, who):
            self._desk.put_on_screen(client, who, question)

    def _receipt(self, event: Event, *, is_known: bool = False) -> dict[str, Any]:
        """The receipt of a stored event. It is the same however often the event is sent."""
        book = self._board.book
        if isinstance(event, Undone):
            given = book.given(event.answer)
            assert given is not None
            question, label = given.event.question, given.event.label
            text = f"Taken back: {text_of(given, self._board, self._noun)}"
            return {
                **receipt(event.id, "known" if is_known else "stored", event.seq, text, label),
                "question": self._questions.describe(question) if self._questions.exists(question) else None,
            }
        given = book.given(event.id)
        assert given is not None
        return receipt_of_answer(given, self._board, self._dataset.train_rows, self._noun, is_known=is_known)

    def _parts_of_split_clusters(self, events: Sequence[object]) -> dict[str, Sequence[Indices]]:
        """The parts of the clusters that are to be split, computed before any lock is taken.

        Raises:
            NotStoredError: A cluster of an open step cannot be split yet, because the server has just started.
        """
        parts: dict[str, Sequence[Indices]] = {}
        for raw in events:
            if not isinstance(raw, Mapping) or raw.get("answer") != GivenAnswer.SPLIT:
                continue
            question_id = raw.get("question")
            with self._lock:
                found = self._board.find(question_id) if isinstance(question_id, str) else None
                is_current, halve = found is not None and found[0] is self._step, self._halve
            if found is None or found[0].is_closed or id_of(raw) in self._board.book.events:
                continue
            if not is_current:
                raise NotStoredError("The server has just started; the answer can be sent again in a moment.")
            question = found[1]
            if halve is not None and len(question.by_distance) > 1:
                parts[question.id] = [part for part in halve(question) if len(part)]
        return parts

    # Closing.

    def _close_step(self, batch: _Batch, step: StepBoard, who: str) -> None:
        if step.is_closed or not step.is_complete:
            return
        iteration, number = step.step.iteration, step.step.step
        common = self._common(f"closed.{iteration}.{number}", who)
        self._add(batch, Closed(**common, iteration=iteration, step=number))
        batch.effects.append(lambda: self._desk.drop(list(step.questions)))

    def _close_round(self, batch: _Batch, who: str) -> str | None:
        """Close the round, and return None; if it cannot be closed, return the reason."""
        step = self._open_step
        if step is None:
            return "No round is open now, so none can be closed."
        in_round = self._board.steps_of(self._iteration)
        if not any(one.num_labeled for one in in_round):
            return "Nothing was labeled in this round yet, so the model would learn nothing."
        if self._holdout_size and not (self._board.holdout >= 0).any():
            return (
                f"No {self._noun} of the hold-out has a label yet, so the accuracy of the model could not be measured."
            )
        common = self._common(f"closed.{self._iteration}", who)
        self._add(batch, Closed(**common, iteration=self._iteration, step=None))
        batch.effects.append(lambda: self._desk.drop(list(step.questions)))
        return None

    def _rename_class(self, batch: _Batch, who: str, label: int, name: str) -> str | None:
        """Rename a class, and return None; if that is not possible, return the reason."""
        if not self._may_add_classes:
            return "The classes of this project are fixed, so none can be renamed."
        if not 0 <= label < self._board.book.num_classes:
            return "This class does not exist; reload the page to see the classes."
        try:
            name = tidy(name)
        except ValueError as error:
            return str(error)
        other = self._board.class_named(name)
        if other not in (None, label):
            return f"There is a class {self._board.book.classes[other or 0]} already, and classes cannot be merged."
        if name != self._board.book.classes[label]:
            self._add(batch, ClassRenamed(**self._common(f"renamed.{uuid4().hex}", who), label=label, name=name))
        return None

    def _is_step_closed(self) -> bool:
        """Whether the event that closes the current step is on the disk."""
        if self._step is None:
            return False
        place = self._board.book.closed_at(self._step.step.iteration, self._step.step.step)
        return place is not None and place <= self._stored_seq

    @property
    def _open_step(self) -> StepBoard | None:
        """The step whose questions people answer now."""
        step = self._step
        return step if step is not None and self._phase == OPEN and not step.is_closed else None

    # Questions.

    @property
    def _questions(self) -> Descriptions:
        return Descriptions(
            dataset=self._dataset,
            board=self._board,
            checks=self._checks,
            page_ids=self._page_ids,
            open_step=self._open_step,
            looks=self._looks,
        )

    def _see(self, who: str, client: str, holding: Sequence[str]) -> list[str]:
        """Note which questions a page has, and return those that it should drop."""

        def has_room(question_id: str) -> bool:
            found = self._board.find(question_id)
            return found is None or found[0].left > len(leases_of(self._desk, found[0]))

        names = {self._page_ids.in_log(one): one for one in holding}
        lost = self._desk.see(client, who, list(names), lambda one: self._is_waiting(one, who), has_room)
        return [names[one] for one in lost]

    def _is_waiting(self, question_id: str, who: str) -> bool:
        """Whether a question still has to be answered, by this person if it is a check."""
        return self._board.is_waiting(question_id) or self._checks.is_waiting(question_id, who)

    def _has_text(self, row: int) -> bool:
        return isinstance(self._dataset, TextDataset) and 0 <= row < len(self._dataset.texts)

    def _text_in(self, row: int) -> str:
        assert isinstance(self._dataset, TextDataset)
        return self._dataset.texts[row]

    def _reason_to_wait(self, who: str, client: str) -> str:
        """Why a page has nothing to show."""
        step = self._open_step
        if step is None:
            return self._message or _MESSAGES.get(self._phase) or "The model takes over in a moment."
        held = [lease for lease in leases_of(self._desk, step).values() if lease.client != client]
        if not held:
            return "The next questions come in a moment."
        others = [lease.who for lease in held if lease.who != who]
        if not others:  # the person has reloaded or closed the page, or has it open on another device
            return (
                f"Another page of yours has {counted(len(held), 'question')}, which "
                f"{'comes' if len(held) == 1 else 'come'} here within a minute if it is closed."
            )
        number = len({*others})
        people = "1 other person is" if number == 1 else f"{number} other people are"
        return f"{people} still answering {counted(len(others), 'question')}."

    def _minutes_left(self, round_answered: int) -> float | None:
        """About how long the people who are there need for the rest of the round. None if the time is not known."""
        step = self._open_step
        recent = () if step is None else self._board.recent_ms[step.step.kind]
        if len(recent) < FEW_ANSWERS:
            return None
        left = max(0, self._round_budget - round_answered)
        return left * statistics.median(recent) / 60_000 / max(1, len(self._desk.people))

    def _read_results(self) -> tuple[list[dict[str, Any]], Progress | None]:
        """The results of the finished rounds for the page, each with its paired gain, and what the project has
        reached."""

        def labels(iteration: int) -> Mapping[int, int]:
            with self._lock:
                book = self._board.book
                return book.holdout(book.round_closed_at(iteration))

        def num_test(iteration: int) -> int:
            return len(labels(iteration)) if self._holdout_size else self._dataset.num_test

        progress = read_progress(
            self._run_folder,
            num_test=num_test,
            labels=labels,
            rules=self._stop_rules,
            total_rounds=self._rounds,
            noun=self._noun,
        )
        gains = {} if progress is None else {one.iteration: one.gain for one in progress.rounds}
        results = [
            result | {"gain": None if (gain := gains.get(result["iteration"])) is None else asdict(gain)}
            for result in read_results(self._run_folder, num_test)
            if result["low"] is not None  # without a labeled test sample there is no accuracy to show
        ]
        return results, progress


def _num_rounds(progress: Progress | None) -> int:
    """The number of finished rounds."""
    return 0 if progress is None else len(progress.rounds)


def _ids_of_halves(event: Answered) -> list[str]:
    """The questions about the parts into which an answer split a cluster."""
    return [f"{event.question}.{number}" for number in range(len(event.halves))]
