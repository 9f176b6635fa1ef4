"""Chooses which samples of a question a page shows, in which bands, and how much of a text."""

import hashlib
from typing import Any

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind
from raycal.data.excerpt import excerpt

NUM_NEAREST, NUM_RANDOM, NUM_FARTHEST = 4, 24, 8
# A cluster with at most this many samples is shown as a whole.
FEW = NUM_NEAREST + NUM_RANDOM + NUM_FARTHEST
# The number of characters of a text that the page of a cluster shows, which is enough to judge what it is about.
BEGINNING = 300
# The largest number of characters of a text that people see. Nobody reads a whole book before answering.
MOST_CHARACTERS = 20_000


def bands(question: Question, rows: Indices) -> dict[str, Any]:
    """The samples of a cluster in bands: all of them, or the nearest to the centroid, random ones, and the farthest.

    Args:
        rows: (P,) The row of each sample of the pool in the dataset.
    """
    by_distance = rows[question.by_distance]
    if len(by_distance) <= FEW:
        return {"all": by_distance.tolist()}
    return {
        "bands": {
            "nearest": by_distance[:NUM_NEAREST].tolist(),
            "random": _between(question.id, by_distance)[:NUM_RANDOM].tolist(),
            "farthest": by_distance[-NUM_FARTHEST:].tolist(),
        }
    }


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


def more_images(question: Question, rows: Indices, page: int) -> list[int]:
    """Further random samples of a cluster; page 0 follows the ones that `bands` shows. Empty after the last page."""
    by_distance = rows[question.by_distance]
    if len(by_distance) <= FEW or page < 0:
        return []
    start = NUM_RANDOM * (page + 1)
    more: list[int] = _between(question.id, by_distance)[start : start + NUM_RANDOM].tolist()
    return more


def beginning(text: str) -> str:
    """The beginning of a text on one line, as the page of a cluster shows it."""
    return excerpt(text, BEGINNING)


def whole(text: str) -> dict[str, Any]:
    """A text as the page shows it alone, up to a length that is said on the page, and its number of characters."""
    return {"text": text[:MOST_CHARACTERS], "characters": len(text)}


def _between(question_id: str, by_distance: Indices) -> Indices:
    """The samples between the nearest and the farthest ones, in a random order that depends on the question only."""
    seed = int.from_bytes(hashlib.sha256(question_id.encode()).digest()[:8], "big")
    shuffled: Indices = np.random.default_rng(seed).permutation(by_distance[NUM_NEAREST:-NUM_FARTHEST])
    return shuffled
