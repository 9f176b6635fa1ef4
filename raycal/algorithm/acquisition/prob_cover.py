"""ProbCover: samples whose neighborhoods cover the most of the pool."""

from math import floor, inf, sqrt
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

from raycal.algorithm.acquisition.distances import blocks, nearest_squared, normalized, squared_distances
from raycal.algorithm.acquisition.query_context import QueryContext
from raycal.algorithm.acquisition.selection import acquisitions
from raycal.algorithm.clustering import kmeans
from raycal.algorithm.records import Floats, Indices

# The purity of a radius is estimated on this many samples. An estimate on all samples of a large pool would take
# minutes.
JUDGED = 2048


@acquisitions("prob_cover")
def prob_cover(
    view: QueryContext,
    budget: int,
    /,
    *,
    delta: Annotated[float, Gt(0)] | None = None,
    purity: Annotated[float, Ge(0), Le(1)] = 0.95,
) -> Indices:
    """ProbCover (Yehuda, Dekel, Hacohen, Weinshall 2022): greedily take the sample whose ball newly covers most.

    The ball of a sample contains the samples nearer than delta, by Euclidean distance between features scaled to
    length one. Only samples that no earlier ball covers are newly covered. Samples in the ball of an annotated sample
    are covered from the beginning. The samples are returned by falling number of newly covered samples; equal numbers
    are ordered by the smaller index. Once all samples are covered, the rest of the budget is drawn at random. The
    function takes up to twice the time of computing all distances within the pool. The memory, apart from the
    features, is a few blocks of 64 MiB. The paper uses self-supervised features; this function uses the features of
    the feature model or, without one, of the query model.

    Args:
        delta: Radius of the balls. None means the paper's rule: the largest radius for which a share `purity` of the
            balls is pure, estimated on 2,048 random samples of the pool. A ball is pure if all its samples are in one
            cluster of a k-means with as many clusters as classes.
        purity: Share of the balls that must be pure, where `delta` is None.
    """
    predictions, annotated = view.predictions, normalized(view.annotated().features)
    points = normalized(predictions.features)
    if delta is None:
        everything = np.concatenate([points, annotated])
        radius = _pure_radius(everything, predictions.probs.shape[1], purity, view.rng)
    else:
        radius = delta
    rows = _greedy_cover(points, nearest_squared(points, annotated) >= radius**2, radius**2, budget)
    rest = np.setdiff1d(np.arange(len(points)), rows)
    missing = min(budget, len(points)) - len(rows)
    return predictions.indices[[*rows, *view.rng.choice(rest, missing, replace=False)]]


def _greedy_cover(points: Floats, uncovered: npt.NDArray[np.bool_], squared_radius: float, budget: int) -> list[int]:
    """Up to `budget` rows, each chosen for the most uncovered points in its ball; fewer when all points are covered."""
    uncovered = uncovered.copy()
    gains = _neighbors(points, points[uncovered], squared_radius)
    rows: list[int] = []
    while len(rows) < budget and gains.max() > 0:
        row = int(gains.argmax())
        near = squared_distances(points, points[[row]])[:, 0] < squared_radius
        near[row] = True
        gains -= _neighbors(points, points[near & uncovered], squared_radius)
        gains[row] = 0
        uncovered &= ~near
        rows.append(row)
    return rows


def _neighbors(points: Floats, others: Floats, squared_radius: float) -> npt.NDArray[np.int64]:
    """The number (n,) of other points that lie in the ball of each point."""
    counts = np.zeros(len(points), np.int64)
    for rows in blocks(len(points), len(others)):
        counts[rows] = np.count_nonzero(squared_distances(points[rows], others) < squared_radius, axis=1)
    return counts


def _pure_radius(points: Floats, num_classes: int, purity: float, rng: np.random.Generator) -> float:
    """The largest radius for which a share `purity` of the balls lies in one cluster; infinite with one cluster."""
    cluster_ids = kmeans(points, min(num_classes, len(points)), int(rng.integers(2**31)))
    judged = rng.choice(len(points), min(JUDGED, len(points)), replace=False)
    to_others = np.full(len(judged), inf)
    for cluster in np.unique(cluster_ids[judged]):
        in_cluster = cluster_ids[judged] == cluster
        to_others[in_cluster] = nearest_squared(points[judged[in_cluster]], points[cluster_ids != cluster])
    # The tolerance is needed because 100 (1 - 0.95) in floats is a little less than 5.
    impure = floor(len(judged) * (1 - purity) + 1e-9)
    return sqrt(np.sort(to_others)[min(impure, len(judged) - 1)])
