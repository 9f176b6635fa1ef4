"""Chooses which samples of a question a page shows, in which bands, and how much of a text.

Probes (see `probes`) take the place of some of the random samples, so that the random band of every cluster has the
same number of samples. The samples that had to make room come at the beginning of the next page of random samples, and
the last page is cut by as many. So a page gets the same number of samples of a cluster with probes as of any other
cluster of this size: the probes cannot be counted. The random samples that are shown are a simple random sample of the
cluster with or without probes, only a little smaller with them.

A page gets rows of the pool, and a probe is a row of the pool like any other. What remains is that a probe was asked
about alone before: somebody who remembers the image, or a program that has kept the rows of all earlier single
questions, can recognize it.
"""

import hashlib
from typing import Any

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.data.excerpt import excerpt
from raycal.people.looks import Looks

ALL_AT_ONCE = Looks()
NUM_NEAREST, NUM_RANDOM, NUM_FARTHEST = 4, ALL_AT_ONCE.first, 8
# A cluster with at most this many samples is shown as a whole.
FEW = NUM_NEAREST + NUM_RANDOM + NUM_FARTHEST
# The largest number of probes in a question.
MOST_PROBES = 2
# The number of characters of a text that the page of a cluster shows, which is enough to judge what it is about.
BEGINNING = 300
# The largest number of characters of a text that people see. Nobody reads a whole book before answering.
MOST_CHARACTERS = 20_000


def bands(question: Question, rows: Indices, num_random: int = NUM_RANDOM) -> dict[str, Any]:
    """The samples of a cluster in bands: all of them, or the nearest to the centroid, random ones, and the farthest.

    Args:
        rows: (P,) The row of each sample of the pool in the dataset.
        num_random: The number of samples in the random band, with the probes.
    """
    by_distance = rows[question.by_distance]
    if len(by_distance) <= FEW:
        return {"all": by_distance.tolist()}
    return {
        "bands": {
            "nearest": by_distance[:NUM_NEAREST].tolist(),
            "random": _with_probes(question, rows, num_random),
            "farthest": by_distance[-NUM_FARTHEST:].tolist(),
        }
    }


def size_of_random_band(step: StepQuestions, looks: Looks) -> int:
    """The number of samples in the random band of each cluster when a page begins to show it.

    Pages that look sequentially have few random samples, so they get as many more as may be probes. The number is the
    same for all questions of a step, so it does not tell which of them have probes.
    """
    return looks.first + (_most_hidden(step) if looks.sequential else 0)


def num_certainly_random(step: StepQuestions, looks: Looks = ALL_AT_ONCE) -> int:
    """How many samples of the random band of each cluster are certainly random samples of the cluster.

    The number is the same for all questions of a step, so it does not tell which of them have probes.
    """
    return size_of_random_band(step, looks) - _most_hidden(step)


def _most_hidden(step: StepQuestions) -> int:
    return MOST_PROBES if any(question.probes for question in step.first) else 0


def random_samples(question: Question, shown: int) -> Indices:
    """The random samples of a cluster on a page that shows a number of samples, among them the probes.

    Args:
        question: A question about a cluster that is too large to be shown whole.
        shown: The number of samples on the page.
    """
    number = max(0, shown - NUM_NEAREST - NUM_FARTHEST - len(question.probes))
    return _between(question, question.by_distance)[:number]


def seen_samples(question: Question, shown: int) -> Indices:
    """The samples of a question, without its probes, that are on a page which shows a number of samples, ascending."""
    if len(question.by_distance) <= FEW:
        return question.indices
    ends = question.by_distance[:NUM_NEAREST], question.by_distance[-NUM_FARTHEST:]
    seen: Indices = np.sort(np.concatenate([*ends, random_samples(question, shown)]))
    return seen


def first_shown(step: StepQuestions, rows: Indices) -> list[int]:
    """The samples that the questions of a step show, in the order in which people see them.

    Args:
        step: The step. Only the questions in its attribute `first` are used, not the halves of clusters that people
            split later.
        rows: (P,) The row of each sample of the pool in the dataset.
    """
    if step.kind is Kind.SAMPLE:
        return [int(rows[question.by_distance[0]]) for question in step.first]
    shown = (bands(question, rows) for question in step.first)
    return [row for one in shown for part in (one.get("all", ()), *one.get("bands", {}).values()) for row in part]


def more_images(
    question: Question, rows: Indices, page: int, *, num_random: int = NUM_RANDOM, more: int = NUM_RANDOM
) -> list[int]:
    """Further random samples of a cluster; page 0 follows the ones that `bands` shows. Empty after the last page.

    Args:
        rows: (P,) The row of each sample of the pool in the dataset.
        num_random: The number of samples in the random band at the beginning, with the probes.
        more: The number of samples of a page.
    """
    by_distance = rows[question.by_distance]
    if len(by_distance) <= FEW or page < 0:
        return []
    in_order, hidden = _between(question, by_distance), len(question.probes)
    start = num_random + more * page - hidden
    found: list[int] = in_order[: len(in_order) - hidden][start : start + more].tolist()
    return found


def beginning(text: str) -> str:
    """The beginning of a text on one line, as the page of a cluster shows it."""
    return excerpt(text, BEGINNING)


def whole(text: str) -> dict[str, Any]:
    """A text as the page shows it alone, up to a length that is said on the page, and its number of characters."""
    return {"text": text[:MOST_CHARACTERS], "characters": len(text)}


def _between(question: Question, by_distance: Indices) -> Indices:
    """The samples between the nearest and the farthest ones, in a random order that depends on the question only."""
    shuffled: Indices = _generator(question.id.encode()).permutation(by_distance[NUM_NEAREST:-NUM_FARTHEST])
    return shuffled


def _with_probes(question: Question, rows: Indices, num_random: int) -> list[int]:
    """The rows of the random band, with the probes in random places.

    The places depend on all samples of the cluster, so nobody can work them out who only knows the samples on the page.
    """
    between = _between(question, rows[question.by_distance])
    random: list[int] = between[: num_random - len(question.probes)].tolist()
    rng = _generator(question.id.encode() + question.by_distance.astype("<i8").tobytes())
    places = np.sort(rng.choice(num_random, size=len(question.probes), replace=False))
    for place, probe in zip(places.tolist(), question.probes, strict=True):
        random.insert(place, int(rows[probe.sample]))
    return random


def _generator(content: bytes) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8], "big"))
