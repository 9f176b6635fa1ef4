"""Core-set and BADGE, which choose samples one after another, each far from the samples chosen before.

In addition to the embeddings, both functions keep a few numbers per sample and blocks of 64 MiB; core-set also keeps a
copy of the embeddings. Both functions take one pass over the embeddings for every chosen sample. Core-set also computes
all distances to the annotated samples.
"""

from collections.abc import Callable
from math import floor, log2

import numpy as np
import numpy.typing as npt

from raycal.algorithm.acquisition.distances import blocks, nearest_squared, squared_norms
from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import acquisitions
from raycal.algorithm.records import Floats, Indices

TAKEN = -1.0


@acquisitions("core_set")
def core_set(view: QueryContext, budget: int, /) -> Indices:
    """Core-set by greedy k-center (Sener, Savarese 2018): take the sample farthest from all annotated and chosen ones.

    Distances are Euclidean, between features. While no sample is annotated, the first sample is drawn at random.
    Among equal distances the smaller index comes first. The samples are returned by falling distance to the nearest
    center.
    """
    # For points far from the origin, distances from inner products in float32 would be lost to rounding.
    center = _center(view.predictions.features)
    points, annotated = _moved(view.predictions.features, center), _moved(view.annotated().features, center)
    norms = squared_norms(points)
    nearest = nearest_squared(points, annotated)
    first = int(nearest.argmax()) if np.isfinite(nearest).all() else int(view.rng.integers(len(points)))

    def distances(row: int) -> Floats:
        squared: Floats = norms + norms[row] - 2 * (points @ points[row])
        return np.maximum(squared, 0)

    rows = _one_by_one(first, nearest, distances, lambda left: int(left.argmax()), budget)
    return view.predictions.indices[rows]


def _center(points: Floats) -> npt.NDArray[np.float64]:
    """The mean (D,) of the points (n, D), rounded to a small fraction of their spread.

    The rounded mean has few digits, so equal distances between simple numbers stay equal after its subtraction.
    """
    mean: npt.NDArray[np.float64] = points.mean(axis=0, dtype=np.float64)
    spread = float(np.maximum(points.max(axis=0) - mean, mean - points.min(axis=0)).max())
    if spread == 0:
        return mean
    grid = 2.0 ** (floor(log2(spread)) - 4)
    rounded: npt.NDArray[np.float64] = np.round(mean / grid) * grid
    return rounded


def _moved(points: Floats, origin: npt.NDArray[np.float64]) -> Floats:
    """Points (n, D) minus another origin (D,), subtracted in float64."""
    moved: Floats = np.empty_like(points, np.float32)
    for rows in blocks(*points.shape):
        moved[rows] = points[rows] - origin
    return moved


@acquisitions("badge")
def badge(view: QueryContext, budget: int, /) -> Indices:
    """BADGE (Ash, Zhang, Krishnamurthy, Langford, Agarwal 2020): k-means++ sampling of gradients of the head.

    A sample's gradient is the gradient of the loss with respect to the head's weights, assuming that the most probable
    class e is correct: (p - e) f^T. The gradient is long if the model is uncertain, and different samples have distant
    gradients. The first sample is the one with the longest gradient, as in the authors' code. Each further sample is
    drawn with probability proportional to its squared distance to the nearest gradient chosen before. The (U, K D)
    gradients are never computed: the inner product of two gradients is the inner product of the vectors p - e times the
    inner product of the vectors f.
    """
    embeddings, probs = view.predictions.embeddings, view.predictions.probs
    errors = probs.copy()
    errors[np.arange(len(errors)), probs.argmax(axis=1)] -= 1
    norms = squared_norms(errors) * squared_norms(embeddings)

    def distances(row: int) -> Floats:
        squared: Floats = norms + norms[row] - 2 * (errors @ errors[row]) * (embeddings @ embeddings[row])
        return np.maximum(squared, 0)

    far = np.full(len(norms), np.inf, np.float32)
    rows = _one_by_one(int(norms.argmax()), far, distances, lambda left: _drawn(left, view.rng), budget)
    return view.predictions.indices[rows]


def _one_by_one(
    first: int, nearest: Floats, distances: Callable[[int], Floats], choose: Callable[[Floats], int], budget: int
) -> list[int]:
    """The chosen rows, in the order in which they were chosen.

    Args:
        first: The row to choose first.
        nearest: Squared distance (U,) of each sample to the nearest center, before any row is chosen.
        distances: Computes the squared distances (U,) of all samples to the sample in a row.
        choose: Chooses the next row by the squared distances (U,) to the nearest center. Rows chosen before have the
            value `TAKEN`.
    """
    left, rows = nearest.copy(), [first]
    while len(rows) < min(budget, len(left)):
        np.minimum(left, distances(rows[-1]), out=left)
        left[rows[-1]] = TAKEN
        rows.append(choose(left))
    return rows


def _drawn(left: Floats, rng: np.random.Generator) -> int:
    """Draw a row with probability proportional to its value; if all values are 0, draw any row that is not `TAKEN`."""
    weights: npt.NDArray[np.float64] = np.maximum(left, 0).astype(np.float64)
    if not weights.any():
        weights = (left != TAKEN).astype(np.float64)
    sums = weights.cumsum()
    row = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    # The product may be rounded up to the whole sum, which would give a row after the last one.
    return min(row, int(np.flatnonzero(weights)[-1]))
