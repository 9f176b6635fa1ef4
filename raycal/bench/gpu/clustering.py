"""Seconds of the clusterings, from points on the host to cluster ids on the host."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from raycal.algorithm.clustering import clusterings, inertia
from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import synchronised
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.kmeans import MOST_INERTIA
from raycal.bench.material import Options, features
from raycal.bench.measure import interleaved

MOST_SECONDS = 0.05
NAMES = ("kmeans", "two_level_kmeans", "faiss_kmeans")


def clustering(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """Wall seconds, as Faiss updates the centres on the CPU; and the inertia of `kmeans` over that of Faiss."""
    points = features(options, sizes.points)
    found: dict[str, Any] = {}
    arms: dict[str, Callable[[], object]] = {
        name: (lambda name=name: found.update({name: clusterings[name](points, sizes.clusters, 0)}))  # type: ignore[misc]
        for name in NAMES
    }
    for arm in arms.values():
        arm()
    taken = interleaved(arms, options.repeats, synchronised)
    loss = {name: inertia(points, cluster_ids) for name, cluster_ids in found.items()}
    setting = {"count": sizes.points, "clusters": sizes.clusters, "iterations": 40, "inertia": loss, "arms": "wall s"}
    for name in NAMES:
        yield Figure(
            benchmark="gpu kmeans",
            name=name,
            value=median(taken[name]),
            unit="s",
            goal=Goal("<=", MOST_SECONDS) if name == "kmeans" else None,
            arms={name: taken[name]},
            setting=setting,
        )
    yield Figure(
        benchmark="gpu kmeans",
        name="inertia, kmeans / Faiss",
        value=loss["kmeans"] / loss["faiss_kmeans"],
        goal=Goal("<=", MOST_INERTIA),
        setting=setting,
    )
