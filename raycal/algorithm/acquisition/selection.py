"""The registry of acquisition functions, and the selection by score that many of them share."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.records import Floats, Indices
from raycal.registry import Registry

Score = TypeVar("Score", bound=Callable[..., Floats])


class Acquisition(Protocol):
    """Chooses min(budget, U) different samples of D^U, in the order in which the expert is asked about them; `budget`
    is at least 1."""

    def __call__(self, view: QueryContext, budget: int, /) -> Indices: ...


acquisitions: Registry[Callable[..., Indices]] = Registry("acquisition")


def by_score(
    name: str, *, finer: Callable[[QueryContext], npt.NDArray[np.float64]] | None = None
) -> Callable[[Score], Score]:
    """Decorator that registers, as `name`, the acquisition function that asks about the samples with the highest
    scores.

    The decorated function itself stays unchanged. Equal scores are ordered by the step's random stream, not by index:
    images in a folder are sorted by class, so the smaller indices would all belong to one class.

    Args:
        finer: Computes scores (U,) that order the samples whose scores are equal because float32 is too coarse.
    """

    def register(score: Score) -> Score:
        @wraps(score)
        def select(view: QueryContext, budget: int, /, **options: Any) -> Indices:
            scores, indices = score(view, **options), view.predictions.indices
            order = view.rng.permutation(len(indices))
            if finer is not None:
                order = order[np.argsort(-finer(view)[order], kind="stable")]
            return most_informative(indices[order], scores[order], budget)

        acquisitions(name)(select)
        return score

    return register


def most_informative(indices: Indices, scores: npt.NDArray[np.floating], num_samples: int) -> Indices:
    """The `num_samples` indices with the highest scores, best first; equal scores keep the order of `indices`.

    Args:
        indices: (U,).
        scores: (U,).
    """
    if num_samples < len(indices):
        edge = np.partition(scores, len(scores) - num_samples)[len(scores) - num_samples]
        above = np.flatnonzero(scores > edge)
        at_edge = np.flatnonzero(scores == edge)[: num_samples - len(above)]
        rows = np.union1d(above, at_edge)
    else:
        rows = np.arange(len(indices))
    return indices[rows[np.argsort(-scores[rows], kind="stable")]]
