"""Distances between embeddings, computed block by block to bound the memory."""

from collections.abc import Iterator

import numpy as np

from raycal.algorithm.records import Floats

# A block of distances or logits has at most this many elements; a few blocks are in memory at once.
BLOCK_FLOATS = 2**24


def blocks(num_rows: int, width: int) -> Iterator[slice]:
    """Split rows into consecutive slices.

    A slice has so few rows that a float32 table with `width` values for each of them takes at most 64 MiB, but it has
    at least one row.
    """
    length = max(1, BLOCK_FLOATS // max(1, width))
    for begin in range(0, num_rows, length):
        yield slice(begin, min(begin + length, num_rows))


def squared_distances(points: Floats, others: Floats) -> Floats:
    """Squared Euclidean distances (n, m) float32 between points (n, D) and others (m, D)."""
    table: Floats = points @ others.T
    table *= -2
    table += squared_norms(points)[:, None]
    table += squared_norms(others)
    np.maximum(table, 0, out=table)
    return table


def nearest_squared(points: Floats, others: Floats) -> Floats:
    """Squared distance (n,) of each point (n, D) to the nearest of the other points (m, D); infinite if m is 0."""
    nearest = np.full(len(points), np.inf, np.float32)
    if len(others):
        for rows in blocks(len(points), len(others)):
            nearest[rows] = squared_distances(points[rows], others).min(axis=1)
    return nearest


def squared_norms(points: Floats) -> Floats:
    """Squared Euclidean norm (n,) of each point (n, D)."""
    norms: Floats = np.einsum("nd,nd->n", points, points)
    return norms


def normalized(points: Floats) -> Floats:
    """Points (n, D) scaled to length one; a point at the origin stays there."""
    norms: Floats = np.sqrt(squared_norms(points))
    norms[norms == 0] = 1
    scaled: Floats = points / norms[:, None]
    return scaled
