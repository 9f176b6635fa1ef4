"""A project in which people answer questions. A server passes requests to the project, which does not depend on the
server.

All methods can be called from many threads at the same time. An answer is acknowledged when it is on the disk.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Self
from uuid import uuid4

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Indices
from raycal.data.loaded import LoadedDataset, TextDataset
from raycal.people.answer_files import AnswerFiles
from raycal.people.asking import HOLDOUT_FIRST, Asking, leases_of
from raycal.people.checks import CheckRates
from raycal.people.events import GivenAnswer
from raycal.people.guidelines import Guidelines, describe_guidelines
from raycal.people.incoming import RefusedError, id_of
from raycal.people.intake import Intake
from raycal.people.log import GROUP_SECONDS, AnswerLog, GroupCommit, NotStoredError
from raycal.people.looks import Looks
from raycal.people.memory import FINISHED, PHASES, Batch, Halve, Memory
from raycal.people.progress import Progress, read_progress
from raycal.people.results import read_results
from raycal.people.shown import ALL_AT_ONCE, beginning, more_images, size_of_random_band, whole
from raycal.people.stopping import StopRules
from raycal.people.waiting import message, minutes_left, reason_to_wait
from raycal.storage.folder import Folder

_Request = Callable[[Batch], Any]


def utc_now() -> str:
    """The time of day in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def project_id(run_folder: Folder) -> str:
    """An id of the project in this folder, under which a browser keeps the answers to this project."""
    return sha256(run_folder.uri.encode()).hexdigest()[:16]


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

    Attributes:
        memory: What the server keeps in memory. Only the holder of the lock may change it.
        rounds_before: How many rounds were finished before this start of the server.

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
        self._rounds, self._round_budget = rounds, round_budget
        self._stop_rules, self._guidelines = stop_rules or StopRules(), guidelines or Guidelines()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._num_changes = 0
        self._log = AnswerLog(run_folder)
        try:
            self.memory = Memory(
                run_folder=run_folder,
                events=self._log.events,
                dataset=dataset,
                class_names=class_names,
                may_add_classes=may_add_classes,
                holdout=holdout,
                check_rates=checks or CheckRates(),
                seed=seed,
                looks=looks,
                clock=clock,
                now=now,
            )
        except BaseException:
            self._log.close()
            raise
        self._log.events = []
        self._intake = Intake(self.memory)
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
        memory = self.memory
        if phase not in PHASES:
            raise ValueError(f"unknown phase {phase!r}")
        results, progress = self._read_results()
        doubts = memory.read_doubts()
        with self._lock:
            memory.begin(step, iteration, phase, message, halve, doubts)
            # While the model learns again from earlier rounds, the results of all rounds stay on the page.
            if _num_rounds(progress) >= _num_rounds(self._progress):
                self._results, self._progress = results, progress
            self._note_change()
            opened = memory.open_step
        if opened is not None and opened.is_complete:  # nobody can give another answer, which would close the step
            self._commit(
                lambda batch: None if memory.step is None else self._intake.close_step(batch, memory.step, who="")
            )

    def wait_closed(self, timeout: float) -> bool:
        """Wait until the open step is closed. Return False if it is still open after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.memory.is_step_closed, timeout)

    @property
    def num_changes(self) -> int:
        """A number that grows whenever the state may have changed."""
        with self._lock:
            return self._num_changes

    # Methods that the pages call.

    def state(self, who: str) -> dict[str, Any]:
        """What a page shows besides the question."""
        memory = self.memory
        with self._lock:
            board, step = memory.board, memory.step
            in_round = board.steps_of(memory.iteration)
            round_answered = sum(len(one.replies) for one in in_round)
            sizes = board.class_sizes()
            return {
                "project": self.name,
                "project_id": self._id,
                "noun": memory.noun,
                "who": who,
                "phase": memory.phase,
                "message": message(memory),
                "iteration": memory.iteration,
                "rounds": self._rounds,
                "step": None if step is None else step.step.step,
                "kind": None if step is None else step.step.kind.value,
                "answered": 0 if step is None else len(step.replies),
                "budget": self._round_budget,
                "round_answered": round_answered,
                "minutes_left": minutes_left(memory, self._round_budget - round_answered),
                "classes": [
                    {"id": label, "name": name, "count": sizes[label]} for label, name in enumerate(board.book.classes)
                ],
                "may_add_classes": memory.may_add_classes,
                "holdout": {
                    "size": memory.holdout_size,
                    "answered": board.num_answered_in_holdout,
                    "first": min(HOLDOUT_FIRST, memory.holdout_size),
                },
                "results": self._results,
                "rounds_before": self.rounds_before,
                "progress": None if self._progress is None else self._progress.for_page(),
                "labeled": sum(sizes),
                "total": memory.dataset.num_train + memory.holdout_size,
                "people": len(memory.desk.people),
                "looks": memory.looks.for_page(board.probe_results, who),
                "can_undo": self._intake.why_no_undo(who) is None,
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
        memory = self.memory
        with self._lock:
            lost = self._see(who, client, holding)
            held = [memory.page_ids.in_log(one) for one in holding if one not in lost]
            given: list[str] = []
            if want > 0 and memory.phase != FINISHED:
                asking = Asking(
                    memory.desk,
                    memory.board,
                    memory.checks,
                    memory.open_step,
                    who=who,
                    client=client,
                    holding=held,
                )
                given = asking.take(want)
            return {
                "questions": [memory.questions.describe(one) for one in given],
                "lost": lost,
                "wait": None if given or held else reason_to_wait(memory, who, client),
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
        memory = self.memory
        with self._lock:
            found = memory.board.find(question)
        if found is None:
            raise RefusedError("This question does not exist any more.")
        step, cluster = found
        num_random = size_of_random_band(step.step, memory.looks)
        rows = memory.dataset.train_rows
        return {"images": more_images(cluster, rows, page, num_random=num_random, more=memory.looks.more)}

    def guidelines(self) -> dict[str, Any]:
        """What the owner tells about the classes, and examples of each class."""
        memory = self.memory
        with self._lock:
            return describe_guidelines(
                self._guidelines,
                memory.board,
                memory.dataset.train_rows,
                memory.checks.gold.agree_about,
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
            lambda batch: [self._intake.accept(batch, who, client, raw, parts) for raw in events]
        )
        return receipts

    def close_round(self, who: str) -> dict[str, Any]:
        """End the round now: the model trains with what was labeled.

        Raises:
            RefusedError: The round cannot be closed yet.
            NotStoredError: The round is still open, for instance because the disk is full.
        """
        refusal: str | None = self._commit(lambda batch: self._intake.close_round(batch, who))
        if refusal is not None:
            raise RefusedError(refusal)
        return self.state(who)

    def rename_class(self, who: str, label: int, name: str) -> dict[str, Any]:
        """Give a class another name; its id and all its labels stay.

        Raises:
            RefusedError: There is no such class, its name is fixed, or the new name cannot be used.
            NotStoredError: The class has its old name, for instance because the disk is full.
        """
        refusal: str | None = self._commit(lambda batch: self._intake.rename_class(batch, who, label, name))
        if refusal is not None:
            raise RefusedError(refusal)
        return self.state(who)

    def release(self, client: str, questions: Sequence[str] | None = None) -> None:
        """Free questions that a page gives back. None means that the page is closed and gives back all of them."""
        memory = self.memory
        with self._lock:
            if questions is None:
                memory.desk.leave(client)
            else:
                memory.desk.release(client, map(memory.page_ids.in_log, questions))
            self._note_change()  # somebody may be waiting for these questions

    # How requests are stored together.

    def _note_change(self) -> None:
        self._num_changes += 1
        self._changed.notify_all()

    def _handle(self, requests: Sequence[_Request]) -> list[Any]:
        """Carry out requests, store all their events in one write, and only then return their outcomes."""
        memory = self.memory
        batch = Batch()
        try:
            with self._lock:
                outcomes = [request(batch) for request in requests]
            if batch.events:
                self._log.write(batch.events)
        except BaseException:
            with self._lock:
                memory.forget_what_is_not_stored()
            raise
        with self._lock:
            memory.stored_seq = memory.board.book.last_seq
            for effect in batch.effects:
                effect()
            self._note_change()
        return outcomes

    def _parts_of_split_clusters(self, events: Sequence[object]) -> dict[str, Sequence[Indices]]:
        """The parts of the clusters that are to be split, computed before any lock is taken.

        Raises:
            NotStoredError: A cluster of an open step cannot be split yet, because the server has just started.
        """
        memory = self.memory
        parts: dict[str, Sequence[Indices]] = {}
        for raw in events:
            if not isinstance(raw, Mapping) or raw.get("answer") != GivenAnswer.SPLIT:
                continue
            question_id = raw.get("question")
            with self._lock:
                found = memory.board.find(question_id) if isinstance(question_id, str) else None
                is_current, halve = found is not None and found[0] is memory.step, memory.halve
            if found is None or found[0].is_closed or id_of(raw) in memory.board.book.events:
                continue
            if not is_current:
                raise NotStoredError("The server has just started; the answer can be sent again in a moment.")
            question = found[1]
            if halve is not None and len(question.by_distance) > 1:
                parts[question.id] = [part for part in halve(question) if len(part)]
        return parts

    def _see(self, who: str, client: str, holding: Sequence[str]) -> list[str]:
        """Note which questions a page has, and return those that it should drop."""
        memory = self.memory

        def has_room(question_id: str) -> bool:
            found = memory.board.find(question_id)
            return found is None or found[0].left > len(leases_of(memory.desk, found[0]))

        names = {memory.page_ids.in_log(one): one for one in holding}
        lost = memory.desk.see(client, who, list(names), lambda one: memory.is_waiting(one, who), has_room)
        return [names[one] for one in lost]

    def _has_text(self, row: int) -> bool:
        dataset = self.memory.dataset
        return isinstance(dataset, TextDataset) and 0 <= row < len(dataset.texts)

    def _text_in(self, row: int) -> str:
        dataset = self.memory.dataset
        assert isinstance(dataset, TextDataset)
        return dataset.texts[row]

    def _read_results(self) -> tuple[list[dict[str, Any]], Progress | None]:
        """The results of the finished rounds for the page, each with its paired gain, and what the project has
        reached."""
        memory = self.memory

        def labels(iteration: int) -> Mapping[int, int]:
            with self._lock:
                book = memory.board.book
                return book.holdout(book.round_closed_at(iteration))

        def num_test(iteration: int) -> int:
            return len(labels(iteration)) if memory.holdout_size else memory.dataset.num_test

        progress = read_progress(
            memory.run_folder,
            num_test=num_test,
            labels=labels,
            rules=self._stop_rules,
            total_rounds=self._rounds,
            noun=memory.noun,
        )
        gains = {} if progress is None else {one.iteration: one.gain for one in progress.rounds}
        results = [
            result | {"gain": None if (gain := gains.get(result["iteration"])) is None else asdict(gain)}
            for result in read_results(memory.run_folder, num_test)
            if result["low"] is not None  # without a labeled test sample there is no accuracy to show
        ]
        return results, progress


def _num_rounds(progress: Progress | None) -> int:
    """The number of finished rounds."""
    return 0 if progress is None else len(progress.rounds)
