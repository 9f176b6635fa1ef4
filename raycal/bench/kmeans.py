"""`kmeans`: compares raycal's clusterings with Faiss called directly, in time and in inertia."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from raycal.algorithm.clustering import clusterings, inertia
from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, embeddings
from raycal.bench.measure import interleaved, ratio
from raycal.kmeans.gpu import faiss_has_gpu

MOST_OVERHEAD, MOST_INERTIA = 1.05, 1.005
LEAST_GAIN, MOST_INERTIA_OF_TWO_LEVELS = 3.0, 1.01


def run(options: Options) -> Iterator[Figure]:
    """The time and inertia of `kmeans` divided by the time and inertia of Faiss, and the same for `two_level_kmeans`
    and `kmeans`."""
    import faiss  # Faiss is imported late, because other modules use this module's goals without Faiss.

    num_points, count = options.size(50_000, 600), options.size(1000, 30)
    points = embeddings(options, num_points)
    faiss.omp_set_num_threads(1)
    cluster_ids_of: dict[str, npt.NDArray[np.int64]] = {}

    def arm(name: str, cluster: Callable[[], npt.NDArray[np.int64]]) -> Callable[[], None]:
        return lambda: cluster_ids_of.update({name: cluster()})

    durations = interleaved(
        {
            "raycal": arm("raycal", lambda: clusterings["kmeans"](points, count, 0)),
            "faiss": arm("faiss", lambda: obvious.kmeans(points, count)),
            "two levels": arm("two levels", lambda: clusterings["two_level_kmeans"](points, count, 0)),
        },
        options.repeats,
    )
    loss = {name: inertia(points, cluster_ids) for name, cluster_ids in cluster_ids_of.items()}
    setting = {
        "count": num_points,
        "width": points.shape[1],
        "clusters": count,
        "iterations": 40,
        "dtype": "float32",
        "threads": 1,
        "device": "cuda" if faiss_has_gpu() else "cpu",
        "features": "of a file" if options.embeddings else "made up",
        "arms": "CPU seconds",
        "inertia": loss,
    }
    for name, value, goal in (
        ("CPU, raycal / Faiss", ratio(durations, "raycal", "faiss"), Goal("<=", MOST_OVERHEAD)),
        ("inertia, raycal / Faiss", loss["raycal"] / loss["faiss"], Goal("<=", MOST_INERTIA)),
        ("CPU, exact / two levels", ratio(durations, "raycal", "two levels"), Goal(">=", LEAST_GAIN)),
        (
            "inertia, two levels / exact",
            loss["two levels"] / loss["raycal"],
            Goal("<=", MOST_INERTIA_OF_TWO_LEVELS),
        ),
    ):
        yield Figure(benchmark="kmeans", name=name, value=value, goal=goal, arms=durations, setting=setting)
