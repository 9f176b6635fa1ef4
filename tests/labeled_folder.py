"""Makes the folder of a project that people labeled, without a server and without training, so that all numbers are
known."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycal.algorithm.pool import LABELED, UNLABELED
from raycal.algorithm.questions import Probe, Question, StepQuestions
from raycal.algorithm.records import Evaluation, Interaction, IterationResult, Kind, PhaseSeconds, PoolSnapshot
from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.people.answer_files import AnswerFiles
from raycal.people.events import (
    Answered,
    ClassAdded,
    Closed,
    Event,
    GivenAnswer,
    KnownLabel,
    Purpose,
    Timing,
    Undone,
)
from raycal.people.fold import fold
from raycal.people.gold import gold_check
from raycal.people.log import AnswerLog, read_events
from raycal.people.steps import STEPS, StepFiles
from raycal.storage.folder import Folder
from raycal.storage.predictions import HoldoutPredictions
from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir, SweepPlan

CONFIG = ExperimentConfig.model_validate(
    {"dataset": {"name": "images", "root": "/birds"}, "scenario": "cluster+uncertain", "expert": "people"},
    context=build.REGISTRIES,
)
ACCURACIES = (0.5, 0.75)
NUM_CLUSTERS, NUM_SAMPLES, NUM_HOLDOUT = 12, 4, 20
# The milliseconds of an answer about a single image, of an answer about a cluster without its images, and the
# additional milliseconds for each image of a cluster.
SAMPLE_MS, CLUSTER_MS, IMAGE_MS = 2000, 3000, 100


class People:
    """Two people who answer through the log of a run. In each round one answer is taken back, one is a second opinion,
    and one is late."""

    def __init__(
        self,
        run_folder: Folder,
        *,
        with_checks: bool = False,
        with_looks: bool = False,
        has_newcomer: bool = False,
    ) -> None:
        self._run_folder, self._with_checks = run_folder, with_checks
        self._with_looks, self._has_newcomer = with_looks, has_newcomer
        self._number = itertools.count(1)

    def label(self, steps: Sequence[StepQuestions]) -> None:
        """Answer the questions of a round, and the hold-out in the first round."""
        with AnswerLog(self._run_folder) as log:
            log.write(list(self._events(steps)))

    def _events(self, steps: Sequence[StepQuestions]) -> Iterator[Event]:
        if steps[0].iteration == 0:
            for position in range(NUM_HOLDOUT):
                yield self._answer(f"h.{position}", Kind.SAMPLE, 1, purpose=Purpose.HOLDOUT)
        elif self._with_looks:
            yield from self._looks()
        for step in steps:
            for number, question in enumerate(step.first):
                given = self._answer(question.id, step.kind, len(question.by_distance), probes=question.probes)
                yield given
                if number == 0 and step.kind is Kind.CLUSTER:
                    yield Undone(**self._common(), answer=given.id)
                    yield self._answer(question.id, step.kind, len(question.by_distance))
                if number == 1:
                    yield self._answer(question.id, step.kind, len(question.by_distance), who="person-1")
            if self._with_checks and step.iteration == 0 and step.kind is Kind.SAMPLE:
                yield from self._checks(given.seq)
            if self._has_newcomer and step.iteration == 0 and step.kind is Kind.SAMPLE:
                yield from self._first_answers(given.seq)
            yield Closed(**self._common(), iteration=step.iteration, step=step.step)
            yield self._answer(step.first[0].id, step.kind, 1, who="person-1")

    def _checks(self, seq: int) -> Iterator[Event]:
        """The same person agrees with an answer, and another one does not. One of ten audits finds a wrong label."""
        for label, name in enumerate(("wren", "robin")):
            yield ClassAdded(**self._common(), name=name, label=label)
        yield self._answer(f"repeat.{seq}", Kind.SAMPLE, 1, purpose=Purpose.REPEAT)
        other = self._answer(f"shared.{seq}", Kind.SAMPLE, 1, purpose=Purpose.SHARED, who="person-1")
        yield replace(other, label=0)
        for index in range(10):
            audit = self._answer(f"audit.{index}", Kind.SAMPLE, 1, purpose=Purpose.AUDIT)
            yield replace(audit, label=0) if index == 5 else audit

    def _looks(self) -> Iterator[Event]:
        """A person looks again at three single images: one label changes, one stays, and one nobody can tell."""
        for index, label in ((200, 0), (201, 1), (202, None)):
            look = self._answer(f"look_again.{index}", Kind.SAMPLE, 1, purpose=Purpose.LOOK_AGAIN, who="person-1")
            yield replace(look, label=label, answer=GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL)

    def _first_answers(self, seq: int) -> Iterator[Event]:
        """A newcomer answers ten gold questions, four of them not with the known label."""
        for number in range(10):
            question = gold_check(seq - number, "person-2").id
            given = self._answer(question, Kind.SAMPLE, 1, purpose=Purpose.GOLD, who="person-2")
            yield replace(given, label=int(number >= 4), known=KnownLabel(1, 2, 9 - number))

    def _common(self, who: str = "owner") -> dict[str, object]:
        number = next(self._number)
        return {"seq": number, "id": f"{number:032x}", "who": who, "time": f"2026-11-27T12:00:{number % 60:02}Z"}

    def _answer(
        self,
        question: str,
        kind: Kind,
        shown: int,
        *,
        purpose: Purpose = Purpose.ROUND,
        who: str = "owner",
        probes: tuple[Probe, ...] = (),
    ) -> Answered:
        """An answer, in which the first of the probes is found."""
        is_refused = kind is Kind.CLUSTER and question.endswith(".11")
        milliseconds = SAMPLE_MS if kind is Kind.SAMPLE else CLUSTER_MS + IMAGE_MS * shown
        return Answered(
            **self._common(who),
            question=question,
            kind=kind,
            answer=GivenAnswer.REFUSED if is_refused else GivenAnswer.LABEL,
            label=None if is_refused else 1,
            purpose=purpose,
            timing=Timing(visible_ms=milliseconds),
            shown=shown,
            probes=probes,
            probes_found=tuple(probe.sample for probe in probes[:1]),
        )


def round_steps(iteration: int) -> list[StepQuestions]:
    """The steps of a round: clusters of 4 to 15 images, and single images."""
    starts = np.cumsum([0, *range(4, 4 + NUM_CLUSTERS)])
    clusters = [np.arange(start, end) for start, end in itertools.pairwise(starts)]
    samples = [np.array([200 + number]) for number in range(NUM_SAMPLES)]
    return [
        StepQuestions(
            iteration=iteration,
            step=number,
            kind=kind,
            budget=len(parts),
            first=tuple(Question(id=f"{iteration}.{number}.{at}", by_distance=part) for at, part in enumerate(parts)),
        )
        for number, (kind, parts) in enumerate(((Kind.CLUSTER, clusters), (Kind.SAMPLE, samples)))
    ]


def with_probes(steps: Sequence[StepQuestions]) -> list[StepQuestions]:
    """The steps of a round with a cluster of 60 images, in which two probes are hidden, in place of the fourth one."""
    clusters, *others = steps
    first = list(clusters.first)
    hidden = 250 + 2 * clusters.iteration
    first[3] = replace(first[3], by_distance=np.arange(100, 160), probes=(Probe(hidden, 0), Probe(hidden + 1, 2)))
    return [replace(clusters, first=tuple(first)), *others]


def _predictions(accuracy: float) -> HoldoutPredictions:
    predicted = np.where(np.arange(NUM_HOLDOUT) < accuracy * NUM_HOLDOUT, 1, 0)
    return HoldoutPredictions(predicted=predicted, labels=np.full(NUM_HOLDOUT, -1))


def _pool(has_unlabeled: bool) -> npt.NDArray[np.int8]:
    status = np.full(300, LABELED, np.int8)
    status[: 100 * has_unlabeled] = UNLABELED
    return status


def label_folder(
    storage: Path,
    *,
    rounds: int = 2,
    is_finished: bool = True,
    config: ExperimentConfig = CONFIG,
    goes_on: bool = False,
    has_probes: bool = False,
    with_checks: bool = False,
    with_looks: bool = False,
    has_newcomer: bool = False,
) -> tuple[SweepDir, RunWriter]:
    """Label some rounds of the project `birds`. Return the folder of the project and the folder of its run.

    Args:
        goes_on: Whether the run has predictions for the hold-out, all of whose labels are 1, and images that are
            left to ask about.
        has_probes: Whether a cluster of each round has two probes, of which people find one.
        with_checks: Whether people answered questions that check labels in the first round.
        with_looks: Whether a person looked again at single images before the second round.
        has_newcomer: Whether a newcomer answered gold questions in the first round.
    """
    sweep_dir = SweepDir(Folder.at(str(storage / "birds")))
    sweep_dir.write_plan(SweepPlan(sweep="birds", experiments={config.experiment_id: config}, threads=1))
    run_dir = RunWriter(sweep_dir.folder.folder(config.experiment_id))
    run_dir.begin(config)
    people, ledger = (
        People(run_dir.folder, with_checks=with_checks, with_looks=with_looks, has_newcomer=has_newcomer),
        list[Interaction](),
    )
    for iteration in range(rounds):
        steps = with_probes(round_steps(iteration)) if has_probes else round_steps(iteration)
        for step in steps:
            StepFiles(run_dir.folder.folder(STEPS)).write(step)
        people.label(steps)
        book, rows = fold(read_events(run_dir.folder)), list[Interaction]()
        for step in steps:
            rows += step.rows(book.replies(step), spent=len(ledger) + len(rows))
        ledger += rows
        run_dir.commit(
            IterationResult(
                iteration=iteration,
                interactions=len(ledger),
                human_seconds=sum(row.seconds for row in ledger),
                ledger=tuple(rows),
                pool=PoolSnapshot(status=_pool(goes_on), labels=np.zeros(300, np.int32)),
                evaluation=Evaluation(accuracy=ACCURACIES[iteration], loss=1.0, chance=0.25),
                seconds=PhaseSeconds(predict=0.0, cluster=0.0, train=1.0, evaluate=0.5),
            ),
            b"model",
            _predictions(ACCURACIES[iteration]) if goes_on else None,
        )
        AnswerFiles(run_dir.folder).write_missing()
    if is_finished:
        run_dir.finish("iterations")
    return sweep_dir, run_dir
