"""What a server keeps in memory about a project: the answers of its log, the open step, and the leases of pages.

Everything but the leases follows from the files in the folder of the run, so a server that starts again has it again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices
from raycal.data.loaded import LoadedDataset
from raycal.errors import InputError
from raycal.people.board import Board, StepBoard
from raycal.people.checks import CheckRates, Checks
from raycal.people.described import Descriptions
from raycal.people.desk import Desk
from raycal.people.events import Answered, Event
from raycal.people.log import PEOPLE
from raycal.people.looks import Looks
from raycal.people.model_doubts import Doubt, model_doubts
from raycal.people.page_ids import PageIds
from raycal.people.project_samples import list_name
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder
from raycal.storage.out_of_fold import newest_out_of_fold

PREPARING, OPEN, TRAINING, WAITING, FINISHED = PHASES = ("preparing", "open", "training", "waiting", "finished")

Halve = Callable[[Question], Sequence[Indices]]


@dataclass
class Batch:
    """The requests that are stored by one write.

    Attributes:
        events: The events to store.
        effects: The functions to call when the events are stored.
    """

    events: list[Event] = field(default_factory=list)
    effects: list[Callable[[], None]] = field(default_factory=list)


class Memory:
    """What a server keeps in memory about a project. It takes no lock; the project does.

    Args:
        run_folder: The folder of the run.
        events: The events of its log.
        dataset: The samples.
        class_names: The classes that are known from the beginning.
        may_add_classes: Whether people may name new classes.
        holdout: How many samples of the test split people label; 0 if the dataset knows their labels.
        check_rates: How many questions check labels.
        seed: The seed of the project, which decides what is checked.
        looks: How many samples of a large cluster a page shows.
        clock: Returns the time in seconds since any fixed moment.
        now: Returns the time of day that the log records.

    Attributes:
        board: The questions and answers.
        checks: The questions that check labels.
        desk: The leases of pages.
        step: The newest step; None if there are no questions now.
        halve: Cuts a cluster of this step in parts.
        iteration: The iteration of the experiment.
        phase: What the experiment does, one of `PHASES`.
        message: A sentence about this for the people. Empty means the usual sentence of the phase.
        stored_seq: The number of the last event that is on the disk.

    Raises:
        InputError: A file with questions or the list of samples was removed or replaced, or an answer was changed.
    """

    def __init__(
        self,
        *,
        run_folder: Folder,
        events: Sequence[Event],
        dataset: LoadedDataset,
        class_names: Sequence[str],
        may_add_classes: bool,
        holdout: int,
        check_rates: CheckRates,
        seed: int,
        looks: Looks,
        clock: Callable[[], float],
        now: Callable[[], str],
    ) -> None:
        self.run_folder, self.dataset, self.holdout_size, self.noun = run_folder, dataset, holdout, dataset.noun
        self.may_add_classes, self.looks = may_add_classes, looks
        self._class_names, self._check_rates, self._seed, self._now = tuple(class_names), check_rates, seed, now
        # The key is not the id of the project, because pages know that one.
        self.page_ids = PageIds(f"{run_folder.uri} {seed}" if check_rates.are_on else None)
        self.desk = Desk(clock)
        self.step: StepBoard | None = None
        self.halve: Halve | None = None
        self.iteration, self.phase, self.message = 0, PREPARING, ""
        self.board = self._new_board(StepFiles(run_folder.folder(STEPS)).read_all(), events)
        self._doubts = self.read_doubts()
        self.checks = self._new_checks()
        self._refuse_other_answers()
        self.stored_seq = self.board.book.last_seq

    @property
    def open_step(self) -> StepBoard | None:
        """The step whose questions people answer now."""
        step = self.step
        return step if step is not None and self.phase == OPEN and not step.is_closed else None

    @property
    def is_step_closed(self) -> bool:
        """Whether the event that closes the newest step is on the disk."""
        if self.step is None:
            return False
        place = self.board.book.closed_at(self.step.step.iteration, self.step.step.step)
        return place is not None and place <= self.stored_seq

    @property
    def questions(self) -> Descriptions:
        """The questions as pages get them."""
        return Descriptions(
            dataset=self.dataset,
            board=self.board,
            checks=self.checks,
            page_ids=self.page_ids,
            open_step=self.open_step,
            looks=self.looks,
        )

    def is_waiting(self, question_id: str, who: str) -> bool:
        """Whether a question still has to be answered, by this person if it is a check."""
        return self.board.is_waiting(question_id) or self.checks.is_waiting(question_id, who)

    def add(self, batch: Batch, event: Event) -> None:
        """Add an event that will be stored with a batch."""
        batch.events.append(event)
        self.board.apply(event)
        self.checks.note(event)

    def common(self, event_id: str, who: str) -> dict[str, Any]:
        """The fields that the next event has in common with all others."""
        return {"seq": self.board.book.last_seq + 1, "id": event_id, "who": who, "time": self._now()}

    def forget_what_is_not_stored(self) -> None:
        """Go back to the events on the disk, after a write has failed."""
        stored = [event for event in self.board.book.events.values() if event.seq <= self.stored_seq]
        if len(stored) == len(self.board.book.events):
            return
        place = None if self.step is None else (self.step.step.iteration, self.step.step.step)
        self.board = self._new_board([one.step for one in self.board.steps.values()], stored)
        self.checks = self._new_checks()
        self.step = None if place is None else self.board.steps[place]

    def read_doubts(self) -> Mapping[int, Doubt]:
        """The labels that the newest model doubts, as a file says. Empty if nobody looks again at labels."""
        if not self._check_rates.look_again:
            return {}
        return model_doubts(newest_out_of_fold(self.run_folder))

    def begin(
        self,
        step: StepQuestions | None,
        iteration: int,
        phase: str,
        message: str,
        halve: Halve | None,
        doubts: Mapping[int, Doubt],
    ) -> None:
        """Note what the experiment does now; see the attributes.

        Args:
            step: The questions. None means that there are no questions now.
            doubts: The labels that the newest model doubts.
        """
        self.step = None if step is None else self.board.add_step(step)
        self.halve, self.iteration, self.phase, self.message = halve, iteration, phase, message
        self._doubts = doubts
        self.checks.note_doubts(doubts)

    def _new_board(self, steps: Sequence[StepQuestions], events: Sequence[Event]) -> Board:
        return Board(
            class_names=self._class_names,
            num_pool=self.dataset.num_train,
            num_holdout=self.holdout_size,
            steps=steps,
            events=events,
        )

    def _new_checks(self) -> Checks:
        return Checks(self.board, self._check_rates, self._seed, self._doubts)

    def _refuse_other_answers(self) -> None:
        """Refuse a log whose answers are not about the questions and the classes of this project.

        Raises:
            InputError: A file with questions or the list of samples was removed or replaced, or an answer was changed.
        """
        questions = self.questions
        for event in self.board.book.events.values():
            if not isinstance(event, Answered):
                continue
            if not questions.exists(event.question):
                of_samples = list_name(self.dataset.kind)
                problem = f"question {event.question}, which is neither in people/steps nor in {of_samples}"
            elif event.label is not None and event.label >= self.board.book.num_classes:
                problem = f"class {event.label}, which nobody has named"
            else:
                continue
            raise InputError(
                f"{self.run_folder.place}/{PEOPLE}/answers: an answer is about the {problem}; restore these files "
                "from a copy"
            )
