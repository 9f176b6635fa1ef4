"""Lloyd's k-means on a torch device.

The points are copied to the device once, and the host waits only for the final ids. The same call gives the same bits
on the same machine, because no sum uses atomic additions.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from raycal.kmeans import ClusterIds, Points

# The distances from some points to all centers are computed in blocks of at most this many bytes.
_BLOCK_BYTES = 2**29
# One thread adds up at most this many rows one after the other, however large the cluster is.
_PIECE = 64
# The two halves of a split center are this far apart, relative to each coordinate. The distance must be larger than the
# rounding of TF32, which is a thousandth.
_SPLIT = 1 / 128


@torch.inference_mode()
def lloyd(points: Points, num_clusters: int, seed: int, iterations: int, *, device: str) -> ClusterIds:
    """The id (U,) of the center nearest to each of the points (U, D), after `iterations` iterations.

    The points must be contiguous. The initial centers are points, drawn without replacement.
    """
    drawn = np.random.default_rng(seed).choice(len(points), num_clusters, replace=False)
    placed = _placed(points, device)
    centers = placed[torch.from_numpy(drawn).to(device)]
    return _nearest_after(placed, centers, iterations)


def iterate(points: Tensor, centers: Tensor, iterations: int) -> Tensor:
    """The centers (C, D) after `iterations` iterations; on a GPU, the call returns before they are computed.

    Empty clusters are refilled after each iteration: each takes half of one of the largest clusters.
    """
    for _ in range(iterations):
        centers, sizes = _means(points, _nearest(points, centers), centers)
        centers = _refilled(centers, sizes)
    return centers


def _placed(points: Points, device: str) -> Tensor:
    """A copy of the points on the device, shifted to mean zero, because products of the shifted points lose the fewest
    digits.

    The memory of the host is not pinned, because pinning pages takes longer than copying them once.
    """
    with warnings.catch_warnings():
        # Points from Ray's object store are read-only, and nothing in this module writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        placed = torch.from_numpy(points).to(device, copy=True)
    return placed.sub_(placed.mean(0))


def _nearest_after(points: Tensor, centers: Tensor, iterations: int) -> ClusterIds:
    """The id of the center nearest to each point after all iterations; only the last search does not use TF32."""
    with _float32_products("tf32"):
        centers = iterate(points, centers, iterations)
    with _float32_products("ieee"):
        nearest: ClusterIds = _nearest(points, centers).cpu().numpy()
        return nearest


@contextmanager
def _float32_products(precision: str) -> Iterator[None]:
    """Set the precision in which a GPU multiplies float32 matrices: `ieee`, or `tf32`, which is several times faster.

    The precision is a setting of the process, so it also applies to float32 products in other threads.
    """
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = precision
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """The id (U,) of the center, among the centers (C, D), that is nearest to each of the points (U, D); a tie goes to
    the first center."""
    # The argmax is over minus half of the squared distance. The square of the point is left out, because it is the same
    # for all centers.
    offsets = centers.square().sum(1) / -2
    rows = max(1, _BLOCK_BYTES // (len(centers) * centers.element_size()))
    blocks = torch.split(points, rows)
    return torch.cat([torch.addmm(offsets, block, centers.T).argmax(1) for block in blocks])


def _means(points: Tensor, cluster_ids: Tensor, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (C, D) of each cluster of points (U, D), and the sizes (C,); an empty cluster gets its row of
    `otherwise`."""
    clusters = torch.arange(len(otherwise) + 1, dtype=torch.int32, device=points.device)
    # The sort is a radix sort, which takes half as many passes as for int64.
    ids, order = cluster_ids.int().sort(stable=True)
    begins = torch.searchsorted(ids, clusters)
    # Each cluster is cut into pieces, and the sums of the pieces are added.
    cuts = torch.cat([torch.arange(0, len(points), _PIECE, device=points.device), begins]).sort().values
    pieces = embedding_bag(order, points, cuts, mode="sum", include_last_offset=True)
    first = torch.searchsorted(cuts, begins)
    every = torch.arange(len(pieces), device=points.device)
    sums = embedding_bag(every, pieces, first, mode="sum", include_last_offset=True)
    sizes = begins.diff()
    used = (sizes > 0).unsqueeze(1)
    return torch.where(used, sums / sizes.clamp(min=1).unsqueeze(1), otherwise), sizes


def _refilled(centers: Tensor, sizes: Tensor) -> Tensor:
    """The centers (C, D) after the largest clusters were split in two to refill the empty ones.

    The center of the first empty cluster moves beside the center of the largest cluster, and the latter is shifted the
    opposite way. The next empty cluster takes half of the second largest cluster, and so on. A cluster is split at most
    once, and only if it has two points or more.
    """
    by_size = sizes.argsort(descending=True, stable=True)
    half = len(sizes) // 2
    large, empty = by_size[:half], by_size.flip(0)[:half]
    split = ((sizes[empty] == 0) & (sizes[large] > 1)).unsqueeze(1)
    # The sign alternates between dimensions, so that the two centers differ in more than their distance from zero.
    shift = (torch.arange(centers.shape[1], device=centers.device) % 2 - 0.5) * _SPLIT
    halved = centers[large]
    refilled = centers.clone()
    refilled[empty] = torch.where(split, halved * (1 + shift), centers[empty])
    refilled[large] = torch.where(split, halved * (1 - shift), halved)
    return refilled
