"""The registry of acquisition functions, and the selection by score that many of them share."""

from collections.abc import Callable
from dataclasses import dataclass
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
            # Only the samples that can be chosen are put into this order, because copies of a whole large pool take
            # more memory than the pool.
            order = order[_reaching_the_cut(scores, budget)[order]]
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
    rows = np.flatnonzero(_reaching_the_cut(scores, num_samples))
    best_first = rows[np.argsort(-scores[rows], kind="stable")]
    return indices[best_first[:num_samples]]


@dataclass(frozen=True, slots=True)
class Top:
    """The samples with the highest scores, best first.

    Attributes:
        indices: (n,) int64.
        scores: (n,) float32.
    """

    indices: Indices
    scores: Floats


def top(indices: Indices, scores: Floats, num_samples: int, seed: int) -> Top:
    """The `num_samples` samples with the highest scores, for a pool that is divided into parts.

    Equal scores are ordered by a random number that follows from the seed and the index of the sample alone. The top of
    the tops of all parts is therefore the top of the pool, in whatever way the pool is divided.

    Args:
        indices: (n,) The indices of the samples in the whole pool.
        scores: (n,).
    """
    rows = np.flatnonzero(_reaching_the_cut(scores, num_samples))
    order = rows[np.argsort(_random_numbers(indices[rows], seed), kind="stable")]
    chosen = most_informative(order, scores[order], num_samples)
    return Top(indices[chosen], scores[chosen])


def _reaching_the_cut(scores: npt.NDArray[np.floating], num_samples: int) -> npt.NDArray[np.bool_]:
    """Whether each score (U,) is at least the lowest of the `num_samples` highest scores."""
    if num_samples >= len(scores):
        return np.ones(len(scores), bool)
    reaching: npt.NDArray[np.bool_] = scores >= np.partition(scores, len(scores) - num_samples)[-num_samples]
    return reaching


def _random_numbers(indices: Indices, seed: int) -> npt.NDArray[np.uint64]:
    """A random number for each index (n,): SplitMix64 (Steele, Lea, Flood 2014), in which the index is the position in
    the stream of the seed. Different indices have different numbers."""
    bits = indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits += np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
