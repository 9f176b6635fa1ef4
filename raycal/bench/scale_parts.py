"""The parts of the work that `scale` measures, each in a process of its own.

Each part prepares its input, and then runs the code that an experiment runs. `python -m raycal.bench.scale_parts` runs
one part and prints what it used as JSON.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from raycal.algorithm.acquisition import HeadWeights, QueryContext, acquisitions
from raycal.algorithm.annotate import annotate_clusters
from raycal.algorithm.cluster_queue import ClusterQueue, ClusterRules
from raycal.algorithm.clustering import clusterings
from raycal.algorithm.clustering.sampled import blocks
from raycal.algorithm.expert import Cluster, ClusterAnswer, Oracle
from raycal.algorithm.pool import Pool
from raycal.algorithm.records import Floats, Interaction, Predictions
from raycal.bench.measure import cpu_seconds, memory
from raycal.storage import ledger, pool_file

WIDTH, NUM_CLASSES, NUM_ASKED, NUM_CLUSTERS = 64, 10, 1000, 1000
# There are more groups than clusters, so that clusterings differ in more than which groups they find.
NUM_GROUPS, NOISE = 5000, 0.5
SAMPLES_PER_CLUSTER = 1000
Half = npt.NDArray[np.float16]


def rows_of(num_rows: int, *, in_groups: bool) -> Iterator[Half]:
    """Made-up embeddings (num_rows, WIDTH) in blocks: either in groups, or spread out evenly around zero."""
    groups = np.random.default_rng(0).standard_normal((NUM_GROUPS, WIDTH), np.float32)
    for number, block in enumerate(blocks(num_rows)):
        rng, count = np.random.default_rng([1, number]), block.stop - block.start
        rows = rng.standard_normal((count, WIDTH), np.float32)
        if in_groups:
            rows *= np.float32(NOISE)
            rows += groups[rng.integers(NUM_GROUPS, size=count)]
        yield rows.astype(np.float16)


def write_embeddings(file: Path, num_rows: int) -> None:
    """Write embeddings in groups as an .npy file of half precision, block by block."""
    pages = np.lib.format.open_memmap(file, "w+", np.float16, (num_rows, WIDTH))
    for block, rows in zip(blocks(num_rows), rows_of(num_rows, in_groups=True), strict=True):
        pages[block] = rows
    pages.flush()


def head() -> HeadWeights:
    """A made-up last layer of a network."""
    weights = np.random.default_rng(2).standard_normal((NUM_CLASSES, WIDTH), np.float32) / np.float32(4)
    return HeadWeights(weights=weights, bias=np.zeros(NUM_CLASSES, np.float32))


def _scoring(size: int, file: Path) -> Callable[[], object]:
    """The class probabilities of all samples, block by block, and the choice of the most uncertain ones."""
    embeddings, last_layer = np.load(file, mmap_mode="r"), head()

    def task() -> None:
        probs = np.empty((size, NUM_CLASSES), np.float32)
        for block in blocks(size):
            probs[block] = last_layer.probs(embeddings[block].astype(np.float32))
        predictions = Predictions(indices=np.arange(size), probs=probs, embeddings=embeddings)
        acquisitions["entropy"](_context(predictions), NUM_ASKED)

    return task


def _context(predictions: Predictions) -> QueryContext:
    def not_needed(*_: object) -> Any:
        raise AssertionError("entropy needs only the predictions")

    rng = np.random.default_rng(0)
    return QueryContext(predictions=predictions, rng=rng, annotated=not_needed, head=not_needed, members=not_needed)


def _clustering(name: str) -> Callable[[int, Path], Callable[[], object]]:
    def part(size: int, file: Path) -> Callable[[], object]:
        import faiss

        faiss.omp_set_num_threads(1)
        embeddings: Floats = np.load(file, mmap_mode="r")
        return lambda: clusterings[name](embeddings, min(NUM_CLUSTERS, size // 4), 0)

    return part


def _bookkeeping(size: int, _: Path) -> Callable[[], object]:
    """The queue of clusters, the answers to half of them, and all moves of the pool in one iteration."""
    clusters = _clusters(size)

    def task() -> None:
        pool = Pool.of(size)
        for row in clusters():
            pool.apply(row)
        pool.training_set()
        pool.snapshot()
        pool.release()

    return task


def _state(size: int, _: Path) -> Callable[[], object]:
    """The pool that is saved after each iteration, half of it labeled, and read again to continue."""
    pool = Pool.of(size)
    for row in _clusters(size)():
        pool.apply(row)

    def task() -> None:
        Pool(pool_file.unpack(pool_file.pack(pool.snapshot()), size))

    return task


def _ledger(size: int, _: Path) -> Callable[[], object]:
    """The ledger of an iteration that labels half of the pool, written and read again."""
    rows = tuple(_clusters(size)())
    return lambda: ledger.from_parquet(ledger.to_parquet(rows))


def _clusters(size: int) -> Callable[[], Iterator[Interaction]]:
    """A function that shows half of the clusters, of a thousand samples each, and returns the answers."""
    count = max(2, size // SAMPLES_PER_CLUSTER)
    cluster_ids = np.random.default_rng(0).integers(count, size=size)
    expert, rng = Oracle(cluster_ids % NUM_CLASSES), np.random.default_rng(0)
    nothing = np.zeros((size, 0), np.float32)
    predictions = Predictions(indices=np.arange(size), probs=nothing, embeddings=nothing)

    def ask(cluster: Cluster) -> ClusterAnswer:
        return expert.label_cluster(cluster, rng)

    def answers() -> Iterator[Interaction]:
        queue = ClusterQueue(predictions, count, ClusterRules(), clustering=lambda *_: cluster_ids, answer=ask, rng=rng)
        yield from annotate_clusters(queue, ask, count // 2, iteration=0, step=0, spent=0)

    return answers


EXACT = "exact clustering"
PARTS: Mapping[str, Callable[[int, Path], Callable[[], object]]] = {
    "scoring and top N": _scoring,
    "sampled clustering": _clustering("sampled_kmeans"),
    EXACT: _clustering("kmeans"),
    "bookkeeping": _bookkeeping,
    "state": _state,
    "ledger": _ledger,
}


def _run(part: str, size: int, file: Path) -> dict[str, float]:
    if "clustering" in part:
        import faiss  # noqa: F401  (It is loaded before the memory of the libraries is measured.)
    process = psutil.Process()
    before = memory(process)
    task = PARTS[part](size, file)
    begin = cpu_seconds()
    task()
    return {"cpu_seconds": cpu_seconds() - begin, "bytes_before": before, "bytes_after": memory(process)}


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
