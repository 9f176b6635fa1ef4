"""Distances of samples to the centroid of their cluster."""

from typing import Any

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices


def from_centroid(points: Floats) -> npt.NDArray[np.float64]:
    """Squared distance (n,) of each of the points (n, D) to their mean."""
    return squared_distances_to(points, points.mean(axis=0, dtype=np.float64))


def squared_distances_to(points: Floats, point: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Squared distance (n,) float64 of each of the points (n, D) to one point (D,)."""
    difference = points - point.astype(np.float64)
    squared: npt.NDArray[np.float64] = np.einsum("nd,nd->n", difference, difference)
    return squared


def least(values: npt.NDArray[np.float64], count: int) -> Indices:
    """The rows of the `count` smallest values, in ascending order of the rows. Among equal values, the one with the
    smaller row number is taken first."""
    return np.sort(np.argsort(values, kind="stable")[:count])


def order_from_centroid(points: Floats) -> Indices:
    """The row numbers of the points (n, D), beginning with the point nearest to their mean. Among equal distances the
    smaller row number comes first."""
    return np.argsort(from_centroid(points), kind="stable")
