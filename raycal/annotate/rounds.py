"""The rounds of a labeling project: questions are made, people answer, the model is trained, and the next round
begins."""

import logging
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Protocol

from raycal.algorithm.clustering import Clustering
from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices
from raycal.annotate.worker import Task
from raycal.errors import InfrastructureError, RaycalError, TakenOverError, one_line
from raycal.people.answer_files import AnswerFiles
from raycal.people.fold import fold
from raycal.people.log import PEOPLE, read_events
from raycal.people.steps import STEPS, StepFiles
from raycal.people.stopping import rule_of
from raycal.registry import Kind
from raycal.storage.run_dir import RunDir

logger = logging.getLogger(__name__)

# Seconds after which a waiting thread looks again whether it has to end.
LOOK_SECONDS = 0.5
# Seconds to wait after a failure, such as that of a worker, before the next try.
RETRY_SECONDS = 20.0
# A file that is written to find out whether the disk takes files. The digests of a finished run leave out its folder.
PROBE = f"{PEOPLE}/probe.txt"
# The largest number of workers that are started to remove the models of a finished experiment. If all of them fail, the
# next start of the server tries again.
TRIES_TO_TIDY = 3


class Desk(Protocol):
    """The part of a project that the rounds control."""

    def open_step(
        self,
        step: StepQuestions | None,
        iteration: int,
        phase: str,
        message: str = "",
        *,
        halve: Callable[[Question], Sequence[Indices]] | None = None,
    ) -> None:
        """Show the questions of a step, or say what people are waiting for."""

    def wait_closed(self, timeout: float) -> bool:
        """Wait until the open step is closed; return whether it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Runs the rounds of an experiment to its end, in a thread of the server.

    The folder of the run says what to do next, so the rounds go on after any interruption.

    Attributes:
        task: The orders for the worker.
        run_dir: The folder of the run.
        desk: Where people get their questions.
        clustering: Cuts a cluster in two when a person splits it.
        on_commit: Called after each saved iteration.
        on_open: Called before people get the questions of a step.
        kind: The kind of the samples, as a plural, for messages.
    """

    task: Task
    run_dir: RunDir
    desk: Desk
    clustering: Clustering
    on_commit: Callable[[], object] = lambda: None
    on_open: Callable[[StepQuestions], object] = lambda step: None
    kind: Kind = "images"

    def run(self, must_stop: Event) -> None:
        """Run the rounds until the experiment ends or the event is set."""
        last_failure = None
        with suppress(OSError):
            self.run_dir.folder.remove(PROBE)  # A server that was killed may have left the file.
        while not must_stop.is_set():
            try:
                if self._go_on(must_stop):
                    return
                last_failure = None
            except TakenOverError:
                raise
            except (RaycalError, OSError) as error:
                words = one_line(error).rstrip(".")
                if words != last_failure:
                    logger.error("%s; raycal tries again every %g seconds", words, RETRY_SECONDS)
                last_failure = words
                self._say_what_failed(words)
                must_stop.wait(RETRY_SECONDS)

    def _go_on(self, must_stop: Event) -> bool:
        """Let people answer a step, or let a worker make its questions or use its answers. Return whether the
        experiment has ended.

        Raises:
            RaycalError: The worker has failed, or a file is damaged.
            OSError: A file cannot be read.
        """
        steps = StepFiles(self.run_dir.folder.folder(STEPS))
        done = len(self.run_dir.results())
        if self.run_dir.state().is_complete:
            for _ in range(TRIES_TO_TIDY):
                if self.run_dir.has_states():  # the last worker was killed before it removed the models
                    run_worker(self.task, must_stop)
            steps.remove_embeddings()
            rule = rule_of(self.run_dir.reason())
            message = (
                "All rounds are done. The owner can export the labels and the model now, or raise iterations in the "
                "project file and start the same command again to go on."
            )
            if rule is not None:
                message = f"The project has ended by itself, as its file says, by the stopping rule `{rule}`."
            self.desk.open_step(None, done, "finished", message)
            self.on_commit()
            return True
        step = self._open_step(steps, done)
        if step is not None:
            self._wait_for_people(steps, step, must_stop)
        else:
            self._work(done, must_stop)
            self.on_commit()
        return False

    def _say_what_failed(self, words: str) -> None:
        with suppress(RaycalError, OSError):
            message = f"Something failed: {words}. raycal tries again. All answers are stored."
            self.desk.open_step(None, len(self.run_dir.results()), "waiting", message)

    def _open_step(self, steps: StepFiles, iteration: int) -> StepQuestions | None:
        """The step whose questions people have to answer now. None if the worker first has to make questions or to use
        answers."""
        place = steps.newest()
        if place is None or place[0] != iteration:
            return None
        book = fold(read_events(self.run_dir.folder))
        return None if book.closed_at(*place) is not None else steps.read(*place)

    def _wait_for_people(self, steps: StepFiles, step: StepQuestions, must_stop: Event) -> None:
        halve = partial(steps.halves, step, clustering=self.clustering, seed=self.task.order.config.seed)
        self.on_open(step)
        self.desk.open_step(step, step.iteration, "open", halve=halve)
        while not must_stop.is_set() and not self.desk.wait_closed(LOOK_SECONDS):
            pass

    def _work(self, iteration: int, must_stop: Event) -> None:
        """Let a worker continue the experiment.

        Raises:
            InfrastructureError: The worker has failed.
        """
        before = self._progress()
        num_rounds = AnswerFiles(self.run_dir.folder).num_rounds()
        had_ended = iteration > 0 and not self.run_dir.has_states()
        if iteration < num_rounds or had_ended:
            self.desk.open_step(None, num_rounds, "training", "The model learns again from the labels of all rounds.")
        elif self._is_answered(iteration):
            self.desk.open_step(None, iteration, "training", "The model learns from the new labels.")
        else:
            words = f"The model looks at the {self.kind}. If none is left to ask about, it learns from the labels."
            self.desk.open_step(None, iteration, "preparing", words)
        reason = run_worker(self.task, must_stop)
        if must_stop.is_set():
            return
        recorded = self.run_dir.error()
        if recorded is not None:
            reason = _in_one_sentence(recorded)
        elif reason is None and self._progress() == before:
            reason = "its process ended and changed nothing"
        elif reason is not None:
            reason = self._why_nothing_is_stored() or reason
        if reason is not None:
            raise InfrastructureError(f"the model could not be trained: {reason}")

    def _why_nothing_is_stored(self) -> str | None:
        """Why a worker could not even record its failure, for instance because the disk is full. None if it could."""
        folder = self.run_dir.folder
        try:
            folder.write(PROBE, b"This file shows that the disk can be written.\n")
            folder.remove(PROBE)
        except OSError as error:
            return f"nothing can be stored in {folder.place}: {error.strerror or error}"
        return None

    def _is_answered(self, iteration: int) -> bool:
        """Whether people have answered the last step of an iteration, so that the model is trained next."""
        config = self.task.order.config
        steps = config.resolved_scenario.steps_with(config.interactions_per_iteration)
        last = max((number for number, (_, budget) in enumerate(steps) if budget), default=0)
        return fold(read_events(self.run_dir.folder)).closed_at(iteration, last) is not None

    def _progress(self) -> object:
        """A value that is different after a worker has done something."""
        steps = StepFiles(self.run_dir.folder.folder(STEPS))
        return steps.newest(), len(self.run_dir.results()), self.run_dir.state()


def _in_one_sentence(recorded: str) -> str:
    """A recorded failure in the words that a person needs: without the type of the error, and without the code."""
    lines = recorded.strip().splitlines()
    if any(line.startswith("Traceback") or ": Traceback" in line for line in lines):
        return lines[-1]
    return re.sub(r"^([\w -]+: )\w+Error: ", r"\1", "; ".join(lines))


def run_worker(task: Task, must_stop: Event) -> str | None:
    """Run a worker in a process of its own, and wait for its end.

    Returns:
        Why the worker failed. None if it did not.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "raycal.annotate.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C reaches the server alone, which then ends the worker
    ) as process:
        assert process.stdin is not None
        try:
            # The pipe stays open: when the server ends for whatever reason, the worker ends with it.
            process.stdin.write(pickle.dumps(task))
            process.stdin.flush()
            while not must_stop.is_set():
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(LOOK_SECONDS)
                    return None if code == 0 else f"its process ended with code {code}"
        except BrokenPipeError:
            return "its process could not start"
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()
    return None
