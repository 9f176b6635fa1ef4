"""Lloyd's k-means on a device of torch: the points are copied there once, and nothing is waited for but the last ids.

The same call gives the same bits on the same machine: nothing is summed by atomic additions.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from raycal.kmeans import ClusterIds, Points

# Of the distances of some points to all centres, which are computed at once.
_BLOCK_BYTES = 2**29
# Of a sum one thread adds up as many rows one after the other, however large a cluster is.
_PIECE = 64
# Of a coordinate of a centre, between the two centres that a cluster is split into; TF32 rounds to a thousandth.
_SPLIT = 1 / 128


@torch.inference_mode()
def lloyd(points: Points, num_clusters: int, seed: int, iterations: int, *, device: str) -> ClusterIds:
    """The nearest center of each of the points (U, D), which are contiguous, after that many iterations.

    The first centers are points, drawn without replacement.
    """
    drawn = np.random.default_rng(seed).choice(len(points), num_clusters, replace=False)
    placed = _placed(points, device)
    centers = placed[torch.from_numpy(drawn).to(device)]
    return _nearest_after(placed, centers, iterations)


def iterate(points: Tensor, centers: Tensor, iterations: int) -> Tensor:
    """The centres (C, D) after that many iterations; a GPU computes them while this goes on ahead.

    The first empty cluster takes half of the largest, the next of the next.
    """
    for _ in range(iterations):
        centers, sizes = _means(points, _nearest(points, centers), centers)
        centers = _refilled(centers, sizes)
    return centers


def _placed(points: Points, device: str) -> Tensor:
    """A copy of the points on the device, moved so that their mean is zero, where their products cancel least.

    The host's memory is not pinned: pinning pages takes longer than copying them once.
    """
    with warnings.catch_warnings():
        # Those of Ray's object store are read-only, and nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        placed = torch.from_numpy(points).to(device, copy=True)
    return placed.sub_(placed.mean(0))


def _nearest_after(points: Tensor, centers: Tensor, iterations: int) -> ClusterIds:
    """The nearest centre of each point after that many iterations, in TF32 all but the last search."""
    with _float32_products("tf32"):
        centers = iterate(points, centers, iterations)
    with _float32_products("ieee"):
        nearest: ClusterIds = _nearest(points, centers).cpu().numpy()
        return nearest


@contextmanager
def _float32_products(precision: str) -> Iterator[None]:
    """How a GPU multiplies matrices of float32: as they are, or rounded to TF32, which is several times faster.

    It is a setting of the process, so another thread that multiplies float32 meanwhile does so as well.
    """
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = precision
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """The nearest of the centres (C, D) to each of the points (U, D); of those equally near the first."""
    # The squared distance, halved, negative, and without the square of the point, which is the same for all centres.
    offsets = centers.square().sum(1) / -2
    rows = max(1, _BLOCK_BYTES // (len(centers) * centers.element_size()))
    blocks = torch.split(points, rows)
    return torch.cat([torch.addmm(offsets, block, centers.T).argmax(1) for block in blocks])


def _means(points: Tensor, cluster_ids: Tensor, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (C, D) of each cluster of points (U, D), of an empty one its row of `otherwise`; and the sizes (C,)."""
    clusters = torch.arange(len(otherwise) + 1, dtype=torch.int32, device=points.device)
    ids, order = cluster_ids.int().sort(stable=True)  # a radix sort, of half the passes that int64 takes
    begins = torch.searchsorted(ids, clusters)
    # Every cluster is cut into pieces, and the sums of those are summed.
    cuts = torch.cat([torch.arange(0, len(points), _PIECE, device=points.device), begins]).sort().values
    pieces = embedding_bag(order, points, cuts, mode="sum", include_last_offset=True)
    first = torch.searchsorted(cuts, begins)
    every = torch.arange(len(pieces), device=points.device)
    sums = embedding_bag(every, pieces, first, mode="sum", include_last_offset=True)
    sizes = begins.diff()
    used = (sizes > 0).unsqueeze(1)
    return torch.where(used, sums / sizes.clamp(min=1).unsqueeze(1), otherwise), sizes


def _refilled(centers: Tensor, sizes: Tensor) -> Tensor:
    """The centres (C, D) with those of empty clusters beside those of the largest, which move the other way.

    Where more than half are empty, only as many as there are others.
    """
    by_size = sizes.argsort(descending=True, stable=True)
    half = len(sizes) // 2
    large, empty = by_size[:half], by_size.flip(0)[:half]
    split = ((sizes[empty] == 0) & (sizes[large] > 1)).unsqueeze(1)
    # In every other dimension the other way, so that not the distance from zero alone tells the two apart.
    shift = (torch.arange(centers.shape[1], device=centers.device) % 2 - 0.5) * _SPLIT
    halved = centers[large]
    refilled = centers.clone()
    refilled[empty] = torch.where(split, halved * (1 + shift), centers[empty])
    refilled[large] = torch.where(split, halved * (1 - shift), halved)
    return refilled
