"""Chooses which images of a question a page shows, and in which bands."""

import hashlib
from typing import Any

import numpy as np

from raycal.algorithm.questions import Question, StepQuestions
from raycal.algorithm.records import Indices, Kind

NUM_NEAREST, NUM_RANDOM, NUM_FARTHEST = 4, 24, 8
# A cluster with at most this many images is shown as a whole.
FEW = NUM_NEAREST + NUM_RANDOM + NUM_FARTHEST


def bands(question: Question, rows: Indices) -> dict[str, Any]:
    """The images of a cluster in bands: all images, or the nearest to the centroid, random ones, and the farthest.

    Args:
        rows: (P,) The row of each sample of the pool in the images of the dataset.
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
    """The images that the questions of a step show, in the order in which people see them.

    Args:
        step: The step. Only the questions in its attribute `first` are used, not the halves of clusters that people
            split later.
        rows: (P,) The row of each sample of the pool in the images of the dataset.
    """
    if step.kind is Kind.SAMPLE:
        return [int(rows[question.by_distance[0]]) for question in step.first]
    shown = (bands(question, rows) for question in step.first)
    return [row for one in shown for part in (one.get("all", ()), *one.get("bands", {}).values()) for row in part]


def more_images(question: Question, rows: Indices, page: int) -> list[int]:
    """Further random images of a cluster; page 0 follows the ones that `bands` shows. Empty after the last page."""
    by_distance = rows[question.by_distance]
    if len(by_distance) <= FEW or page < 0:
        return []
    start = NUM_RANDOM * (page + 1)
    more: list[int] = _between(question.id, by_distance)[start : start + NUM_RANDOM].tolist()
    return more


def _between(question_id: str, by_distance: Indices) -> Indices:
    """The images between the nearest and the farthest ones, in a random order that depends on the question only."""
    seed = int.from_bytes(hashlib.sha256(question_id.encode()).digest()[:8], "big")
    shuffled: Indices = np.random.default_rng(seed).permutation(by_distance[NUM_NEAREST:-NUM_FARTHEST])
    return shuffled
