"""Probes: images of a known other class that are hidden among the random images of a cluster.

In pure clusters odd images are rare, and people miss what is rare. A probe makes odd images a little less rare, and
whether the person marks it shows how many odd images that person misses.

The worker chooses the probes when it makes the questions of a step, because only there the features of the labeled
images are at hand, and keeps them in the file of the step. So a restart shows the same probes, and another share in the
project file only changes the steps that are made after it.

A probe is an image that a person has labeled alone, with another class than the one that the model guesses for the
cluster. Only clusters with such a guess that are not shown whole get probes. No image is a probe twice in a project,
because the person sees after the answer which images were probes.
"""

import json
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from raycal.algorithm.centroid import squared_distances_to
from raycal.algorithm.questions import LabeledSamples, Probe, Question, StepQuestions
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Kind
from raycal.people.fold import Book
from raycal.people.log import PEOPLE
from raycal.people.shown import FEW, MOST_PROBES
from raycal.storage.folder import Folder

SETTINGS = f"{PEOPLE}/probes.json"
# The probes of a cluster are drawn from so many labeled images of another class, the nearest ones to its centroid.
NUM_CANDIDATES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """How often questions get probes.

    Attributes:
        share: The share of the questions that can have probes, and get some. 0 means none.
    """

    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierAnswers:
    """What people have answered and seen before a step.

    Attributes:
        agreed: The samples of the pool to which two people gave the same label, each for itself. They are preferred.
        used: The samples that were probes before.
    """

    agreed: Set[int] = field(default_factory=frozenset)
    used: Set[int] = field(default_factory=frozenset)


def write_settings(run_folder: Folder, settings: ProbeSettings) -> None:
    """Keep the settings of a project, which the worker reads."""
    content = json.dumps(asdict(settings)).encode()
    if run_folder.read(SETTINGS) != content:
        run_folder.write(SETTINGS, content)


def read_settings(run_folder: Folder) -> ProbeSettings:
    """The settings of a project; no question gets probes if they were not kept, or if the file is damaged."""
    try:
        return ProbeSettings(**json.loads(run_folder.read(SETTINGS) or b"{}"))
    except (ValueError, TypeError):
        return ProbeSettings()


def earlier_answers(steps: Iterable[StepQuestions], book: Book) -> EarlierAnswers:
    """What people have answered and seen in some steps."""
    agreed, used = set[int](), set[int]()
    for step in steps:
        for question in step.first:
            used.update(probe.sample for probe in question.probes)
            if step.kind is Kind.SAMPLE and _is_agreed(question, book):
                agreed.add(int(question.by_distance[0]))
    return EarlierAnswers(agreed=agreed, used=used)


def with_probes(step: StepQuestions, *, share: float, earlier: EarlierAnswers, seed: int) -> StepQuestions:
    """The step with probes in some of its questions. The choice is a function of the arguments and the id of each
    question.

    Args:
        step: The questions, with the samples of D^L.
        share: The share of the questions that can have probes, and get some.
        earlier: What people have answered and seen before the step.
        seed: The seed of the experiment.
    """
    if step.labeled is None or step.kind is not Kind.CLUSTER:
        return step
    draws = {one.id: stream(seed, step.iteration, f"probes of {one.id}") for one in step.first if can_have_probes(one)}
    chosen = {question for question, rng in draws.items() if rng.random() < share}
    if not chosen:
        return step
    labeled, used = step.labeled(), set(earlier.used)
    questions = list[Question]()
    for question in step.first:
        if question.id in chosen:
            probes = _drawn(question, labeled, replace(earlier, used=used), draws[question.id])
            used.update(probe.sample for probe in probes)
            question = replace(question, probes=probes)
        questions.append(question)
    return replace(step, first=tuple(questions))


def can_have_probes(question: Question) -> bool:
    """Whether a cluster is too large to be shown whole, and the model guesses its class."""
    return question.guess is not None and question.embeddings is not None and len(question.by_distance) > FEW


def _drawn(
    question: Question, labeled: LabeledSamples, earlier: EarlierAnswers, rng: np.random.Generator
) -> tuple[Probe, ...]:
    """One or two probes for a question, in a random order. None if no sample is left that could be one."""
    assert question.embeddings is not None
    is_usable = labeled.labels != question.guess
    is_usable &= ~np.isin(labeled.indices, np.fromiter(earlier.used, np.int64))
    usable = np.flatnonzero(is_usable)
    centroid = question.embeddings().mean(axis=0, dtype=np.float64)
    distances = squared_distances_to(labeled.features[usable], centroid)
    nearest = usable[np.argsort(distances, kind="stable")[:NUM_CANDIDATES]]
    agreed = [row for row in nearest.tolist() if int(labeled.indices[row]) in earlier.agreed]
    candidates = np.array(agreed or nearest, np.int64)
    number = min(len(candidates), int(rng.integers(1, MOST_PROBES + 1)))
    rows = rng.choice(candidates, size=number, replace=False) if number else candidates
    return tuple(Probe(int(labeled.indices[row]), int(labeled.labels[row])) for row in rows)


def _is_agreed(question: Question, book: Book) -> bool:
    """Whether another person gave a single sample the same label, without taking it back."""
    counted = book.counted(question.id)
    if counted is None or counted.label is None:
        return False
    return any(
        one.undone_at is None and one.event.label == counted.label and one.event.who != counted.who
        for one in book.answers(question.id)
    )
