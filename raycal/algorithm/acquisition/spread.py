"""Samples one after another, each far from those before it: core-set and BADGE.

Beside the features they hold a few numbers per sample and pieces of 64 MiB, and core-set a copy of the features; the
time is that of one pass over the features for every sample asked for, and for core-set of all distances to what is
annotated.
"""

from collections.abc import Callable
from math import floor, log2

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition.distances import blocks, nearest_squared, squared_norms
from raycal.algorithm.acquisition.selection import acquisitions
from raycal.algorithm.acquisition.view import View
from raycal.algorithm.records import Floats, Indices

TAKEN = -1.0


@acquisitions("core_set")
def core_set(view: View, budget: int, /) -> Indices:
    """Core-set by greedy k-centre (Sener, Savarese 2018): always the sample farthest from all annotated and asked for.

    Distances are Euclidean, between features. While nothing is annotated the first sample is drawn. Equal distances by
    the smaller index. The samples come by falling distance to the nearest centre.
    """
    # Far from the origin, inner products in float32 leave nothing of the distances.
    center = _center(view.predictions.embeddings)
    points, annotated = _moved(view.predictions.embeddings, center), _moved(view.annotated().embeddings, center)
    norms = squared_norms(points)
    nearest = nearest_squared(points, annotated)
    first = int(nearest.argmax()) if np.isfinite(nearest).all() else int(view.rng.integers(len(points)))

    def distances(row: int) -> Floats:
        found: Floats = norms + norms[row] - 2 * (points @ points[row])
        return np.maximum(found, 0)

    rows = _one_by_one(first, nearest, distances, lambda left: int(left.argmax()), budget)
    return view.predictions.indices[rows]


def _center(points: Floats) -> npt.NDArray[np.float64]:
    """A place (D,) among the points (n, D): their mean, rounded to a small part of their spread.

    What is subtracted so has few digits, and equal distances between simple numbers stay equal.
    """
    mean: npt.NDArray[np.float64] = points.mean(axis=0, dtype=np.float64)
    spread = float(np.maximum(points.max(axis=0) - mean, mean - points.min(axis=0)).max())
    if spread == 0:
        return mean
    grid = 2.0 ** (floor(log2(spread)) - 4)
    rounded: npt.NDArray[np.float64] = np.round(mean / grid) * grid
    return rounded


def _moved(points: Floats, origin: npt.NDArray[np.float64]) -> Floats:
    """Points (n, D) as they are seen from another origin (D,), which is subtracted in float64."""
    moved: Floats = np.empty_like(points, np.float32)
    for rows in blocks(*points.shape):
        moved[rows] = points[rows] - origin
    return moved


@acquisitions("badge")
def badge(view: View, budget: int, /) -> Indices:
    """BADGE (Ash, Zhang, Krishnamurthy, Langford, Agarwal 2020): k-means++ draws on gradients of the head.

    A sample's gradient is that of the loss by the head's weights if its most probable class e were right, (p - e) f^T:
    long where the model is unsure, apart where samples differ. The first sample is that with the longest gradient, as
    in the authors' code; each further one is drawn with probability proportional to its squared distance to the nearest
    gradient before it. The (U, K D) gradients are not made: their inner products are those of p - e times those of f.
    """
    features, probs = view.predictions.embeddings, view.predictions.probs
    errors = probs.copy()
    errors[np.arange(len(errors)), probs.argmax(axis=1)] -= 1
    norms = squared_norms(errors) * squared_norms(features)

    def distances(row: int) -> Floats:
        found: Floats = norms + norms[row] - 2 * (errors @ errors[row]) * (features @ features[row])
        return np.maximum(found, 0)

    far = np.full(len(norms), np.inf, np.float32)
    rows = _one_by_one(int(norms.argmax()), far, distances, lambda left: _drawn(left, view.rng), budget)
    return view.predictions.indices[rows]


def _one_by_one(
    first: int, nearest: Floats, distances: Callable[[int], Floats], choose: Callable[[Floats], int], budget: int
) -> list[int]:
    """The rows chosen, in order.

    Args:
        nearest: Squared distance (U,) of each sample to the nearest centre there is.
        distances: Squared distances (U,) of all samples to one of them.
        choose: The next row by `nearest`, where the rows chosen before are `TAKEN`.
    """
    left, rows = nearest.copy(), [first]
    while len(rows) < min(budget, len(left)):
        np.minimum(left, distances(rows[-1]), out=left)
        left[rows[-1]] = TAKEN
        rows.append(choose(left))
    return rows


def _drawn(left: Floats, rng: np.random.Generator) -> int:
    """A row with probability proportional to its value; where all that are left are 0, any of those."""
    weights: npt.NDArray[np.float64] = np.maximum(left, 0).astype(np.float64)
    if not weights.any():
        weights = (left != TAKEN).astype(np.float64)
    sums = weights.cumsum()
    row = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    return min(row, int(np.flatnonzero(weights)[-1]))  # a product may be rounded up to the whole sum
