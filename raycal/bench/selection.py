"""`selection`: measures the choice of samples and the bookkeeping of the pool, up to millions of samples."""

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import numpy as np

from raycal.algorithm.acquisition import most_informative
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.annotate import annotate_clusters, annotate_samples
from raycal.algorithm.cluster_queue import ClusterQueue, ClusterRules
from raycal.algorithm.expert import Cluster, ClusterAnswer, Oracle
from raycal.algorithm.pool import Pool
from raycal.algorithm.records import Predictions
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import each, growth_exponent, interleaved, ratio
from raycal.storage import ledger

LEAST_GAIN, LARGEST_EXPONENT = 3.0, 1.1
NUM_ASKED, NUM_CLASSES = 1000, 10


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of a full sort, divided by the CPU seconds of choosing the top N. Further figures are the growth
    exponents of all work that grows with the number of samples, apart from the work of the model."""
    for size in (options.size(10**6, 10**4), options.size(10**7, 3 * 10**4)):
        scores, indices = np.random.default_rng(0).random(size, np.float32), np.arange(size)
        arms: dict[str, Callable[[], object]] = {
            "raycal": lambda s=scores, i=indices: most_informative(i, s, NUM_ASKED),  # type: ignore[misc]
            "sort": lambda s=scores, i=indices: i[np.argsort(-s, kind="stable")[:NUM_ASKED]],  # type: ignore[misc]
        }
        durations = interleaved(arms, options.repeats)
        yield Figure(
            benchmark="selection",
            name=f"CPU, full sort / top {NUM_ASKED:,} of {size:,}",
            value=ratio(durations, "sort", "raycal"),
            goal=Goal(">=", LEAST_GAIN),
            arms=durations,
            setting={"count": size, "arms": "CPU seconds", "threads": 1},
        )
    sizes = [options.size(10**4, 1000), options.size(10**5, 4000), options.size(10**6, 16_000)]
    tasks: dict[str, Callable[[int], Callable[[], object]]] = {
        "entropy and top N": _select,
        "bookkeeping of clusters": _bookkeeping,
        "bookkeeping of single samples": _single_samples,
        "ledger": _ledger,
    }
    for name, task in tasks.items():
        calls = {str(size): task(size) for size in sizes}
        rounds = [[each(call, least_seconds=0.1) for call in calls.values()] for _ in range(options.repeats)]
        arms_of_sizes = dict(zip(calls, zip(*rounds, strict=True), strict=True))
        yield Figure(
            benchmark="selection",
            name=f"growth exponent, {name}",
            value=growth_exponent(sizes, list(map(median, arms_of_sizes.values()))),
            unit="",
            goal=Goal("<=", LARGEST_EXPONENT),
            arms=arms_of_sizes,
            setting={"arms": "CPU seconds by size of the pool", "threads": 1},
        )


def _select(size: int) -> Callable[[], object]:
    probs = np.random.default_rng(0).dirichlet(np.ones(NUM_CLASSES), size).astype(np.float32)
    indices = np.arange(size)
    return lambda: most_informative(indices, entropies(probs), size // 50)


def _bookkeeping(size: int) -> Callable[[], object]:
    """A task in which clusters of fifty samples are shown and labeled, and then all samples are released."""
    cluster_ids = np.random.default_rng(0).integers(size // 50, size=size)
    expert, rng = Oracle(cluster_ids % NUM_CLASSES), np.random.default_rng(0)
    nothing = np.zeros((size, 1), np.float32)
    predictions = Predictions(indices=np.arange(size), probs=nothing, embeddings=nothing)

    def ask(cluster: Cluster) -> ClusterAnswer:
        return expert.label_cluster(cluster, rng)

    def task() -> None:
        pool = Pool.of(size)
        clusters = ClusterQueue(
            predictions, size // 50, ClusterRules(), clustering=lambda *_: cluster_ids, answer=ask, rng=rng
        )
        for row in annotate_clusters(clusters, ask, size // 100, iteration=0, step=0, spent=0):
            pool.apply(row)
        pool.training_set()
        pool.snapshot()
        pool.release()

    return task


def _single_samples(size: int) -> Callable[[], object]:
    """A task in which a fiftieth of the pool is shown and labeled one sample at a time, as in an iteration."""
    expert = Oracle(np.arange(size) % NUM_CLASSES)
    asked = np.random.default_rng(0).choice(size, size // 50, replace=False)

    def task() -> None:
        pool = Pool.of(size)
        for row in annotate_samples(asked, expert, partial(np.random.default_rng, 0), iteration=0, step=0, spent=0):
            pool.apply(row)
        pool.training_set()
        pool.snapshot()

    return task


def _ledger(size: int) -> Callable[[], object]:
    """A task that encodes a ledger file, with one row for each sample in a fiftieth of the pool."""
    expert = Oracle(np.arange(size) % NUM_CLASSES)
    asked = np.arange(size // 50)
    rows = tuple(annotate_samples(asked, expert, partial(np.random.default_rng, 0), iteration=0, step=0, spent=0))
    return lambda: ledger.to_parquet(rows)
