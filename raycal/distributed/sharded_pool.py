"""Selects from and clusters a pool that is divided into shards, with Ray Data, for pools beyond the memory of a node.

The pool is a `ray.data.Dataset`. Each of its rows is either a sample, with the columns `index` and `embedding` (for
example from `ray.data.read_parquet`), or a range of rows in an .npy file, as `from_npy` makes them. Ranges are better
for files that all nodes can open: a task maps its range into memory, and no embedding goes through Ray's object store.

No function here holds an array of the whole pool. A task holds one block of embeddings, the driver holds the selected
samples and the sample on which the centers are trained, and the cluster ids stay a dataset.

    pool = from_npy(sorted(Path("embeddings").glob("*.npy")))
    asked = most_informative(pool, EntropyOf(head), 1000, seed=0)
    centers = train_centers(pool, 1000, seed=0)
    assign(pool, centers).write_parquet("clusters")

The results are those of one process that has the whole pool: `raycal.algorithm.acquisition.top` and the clustering
`sampled_kmeans`, whatever the number of tasks. For ids that are equal to the last bit, every file but the last must
have a multiple of `BLOCK_ROWS` rows. In other files, a point between two centers that are equally near up to rounding
may get either of them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike, fspath
from typing import Any

import numpy as np
import ray
import ray.data
from ray.data import Dataset

from raycal.algorithm.acquisition import HeadWeights, Top, top
from raycal.algorithm.acquisition.uncertainty import entropies
from raycal.algorithm.clustering.protocol import finite_points
from raycal.algorithm.clustering.sampled import BLOCK_ROWS, POINTS_PER_CENTROID, assigned, blocks, sample_rows
from raycal.algorithm.records import Floats, Indices
from raycal.errors import InputError
from raycal.kmeans import faiss_lloyd

Batch = dict[str, Any]
Score = Callable[[Floats], Floats]
# A task reads this many rows of a file, so that a pool of a billion samples has about a thousand tasks.
ROWS_PER_TASK = 16 * BLOCK_ROWS
FILE = "file"


@dataclass(frozen=True, slots=True)
class EntropyOf:
    """Scores embeddings (n, D) by the entropy of the classes that a network's last layer predicts for them."""

    head: HeadWeights

    def __call__(self, embeddings: Floats) -> Floats:
        """Entropy (n,) float32 in nats."""
        return entropies(self.head.probs(embeddings))


def from_npy(files: Sequence[str | PathLike[str]], *, rows_per_task: int = ROWS_PER_TASK) -> Dataset:
    """A pool whose embeddings are the rows of .npy files, one file after the other. Only the headers are read here.

    Args:
        files: Paths at which all nodes find the files. The indices of the samples follow the order of the files.
        rows_per_task: The number of rows that a task reads, a multiple of `BLOCK_ROWS`.

    Raises:
        InputError: A file is missing, or is not an array (n, D) of numbers with the same D as the others.
        ValueError: `rows_per_task` is not a multiple of `BLOCK_ROWS`.
    """
    if rows_per_task < 1 or rows_per_task % BLOCK_ROWS:
        raise ValueError(f"rows_per_task should be a multiple of {BLOCK_ROWS:,}, not {rows_per_task:,}")
    ranges: list[dict[str, Any]] = []
    problems, first, widths = list[str](), 0, set[int]()
    for file in [fspath(file) for file in files]:
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            problems.append(f"{file}: not an array saved by numpy ({getattr(error, 'strerror', None) or error})")
            continue
        if array.ndim != 2 or array.dtype.kind != "f":
            problems.append(f"{file}: should have rows of floating-point numbers, not {array.dtype} {array.shape}")
            continue
        widths.add(array.shape[1])
        for begin in range(0, len(array), rows_per_task):
            end = min(begin + rows_per_task, len(array))
            ranges.append({FILE: file, "begin": begin, "end": end, "first": first + begin})
        first += len(array)
    if len(widths) > 1:
        problems.append(f"the embeddings of one pool should have the same width, not {sorted(widths)}")
    if not problems and not ranges:
        problems.append("a pool should have at least one sample")
    if problems:
        raise InputError(*problems)
    return ray.data.from_items(ranges, override_num_blocks=len(ranges))


def most_informative(pool: Dataset, score: Score, num_samples: int, *, seed: int) -> Indices:
    """The indices of the samples with the highest scores, best first. Each task scores its samples block by block and
    returns only its own top.

    Args:
        score: Computes scores (n,) of embeddings (n, D) float32. It is sent to the tasks, like the function of
            `map_batches`.
        num_samples: How many samples are selected.
        seed: The seed of the random order of samples with equal scores.
    """
    chosen = Top(np.empty(0, np.int64), np.empty(0, np.float32))
    for batch in _mapped(pool, partial(_top, score=score, num_samples=num_samples, seed=seed)):
        indices = np.concatenate([chosen.indices, batch["index"]])
        chosen = top(indices, np.concatenate([chosen.scores, batch["score"]]), num_samples, seed)
    return chosen.indices


def train_centers(
    pool: Dataset,
    num_clusters: int,
    *,
    seed: int,
    iterations: int = 40,
    points_per_centroid: int = POINTS_PER_CENTROID,
    resources: Mapping[str, Any] | None = None,
) -> Floats:
    """The centers (C, D) of the clustering `sampled_kmeans` with the same arguments. The sample is collected from all
    shards and trained on in one task.

    Args:
        resources: Options of the Ray task that trains, such as `{"num_cpus": 16}` or `{"num_gpus": 1}`. Faiss uses as
            many threads as the task has CPUs.

    Raises:
        InputError: There are more clusters than samples, or the indices of the samples do not count from 0.
    """
    counts = list(_mapped(pool, _count))
    size = sum(int(part["count"].sum()) for part in counts)
    if size != 1 + max((int(part["last"].max()) for part in counts), default=-1):
        raise InputError("the indices of the samples should count from 0 without a gap")
    if num_clusters > size:
        raise InputError(f"{num_clusters:,} clusters cannot be formed of {size:,} samples")
    rows = sample_rows(size, points_per_centroid * num_clusters, seed)
    parts = list(_mapped(pool, partial(_sample, rows=ray.put(rows))))
    indices = np.concatenate([part["index"] for part in parts])
    points = np.concatenate([part["embedding"] for part in parts])[np.argsort(indices)]
    train: Any = ray.remote(faiss_lloyd.centers).options(**{"num_cpus": 1, **(resources or {})})
    centers: Floats = ray.get(train.remote(finite_points(points), num_clusters, seed, iterations))
    return centers


def assign(pool: Dataset, centers: Floats) -> Dataset:
    """The nearest center of each sample, as a dataset with the columns `index` and `cluster`.

    The dataset is lazy: its tasks run when it is written or iterated over. A task fails with `DivergedError` if an
    embedding is not finite.
    """
    return _map(pool, partial(_assign, centers=ray.put(centers)))


def quiet() -> None:
    """Turn off the progress bars and the lines of Ray Data in this process."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False


def _mapped(pool: Dataset, function: Callable[[Batch], Any]) -> Iterator[Batch]:
    """The results of a function of each batch, as they arrive."""
    batches: Any = _map(pool, function).iter_batches(batch_size=None, batch_format="numpy")
    yield from batches


def _map(pool: Dataset, function: Callable[[Any], Any]) -> Dataset:
    # A batch is one range of a file, or a block of samples.
    batch_size = 1 if FILE in (pool.columns() or ()) else BLOCK_ROWS
    mapped: Dataset = pool.map_batches(function, batch_size=batch_size, batch_format="numpy")
    return mapped


def _samples(batch: Batch) -> tuple[Indices, Floats]:
    """The indices (n,) and the embeddings (n, D) of a batch. The embeddings of a range stay in the file until they are
    used."""
    if FILE not in batch:
        embeddings = batch["embedding"]
        # A column of lists, unlike a column of tensors, becomes an array of arrays.
        return np.asarray(batch["index"], np.int64), np.stack(embeddings) if embeddings.dtype == object else embeddings
    ((file,), (begin,), (end,), (first,)) = (batch[name].tolist() for name in (FILE, "begin", "end", "first"))
    return np.arange(first, first + end - begin), np.load(file, mmap_mode="r", allow_pickle=False)[begin:end]


def _count(batch: Batch) -> Batch:
    indices, _ = _samples(batch)
    return {"count": np.array([len(indices)]), "last": np.array([indices.max(initial=-1)])}


def _top(batch: Batch, *, score: Score, num_samples: int, seed: int) -> Batch:
    indices, embeddings = _samples(batch)
    scores = np.concatenate([score(np.asarray(embeddings[block], np.float32)) for block in blocks(len(indices))])
    chosen = top(indices, scores, num_samples, seed)
    return {"index": chosen.indices, "score": chosen.scores}


def _sample(batch: Batch, *, rows: Any) -> Batch:
    indices, embeddings = _samples(batch)
    positions = np.flatnonzero(np.isin(indices, ray.get(rows), assume_unique=True))
    return {"index": indices[positions], "embedding": np.asarray(embeddings[positions], np.float32)}


def _assign(batch: Batch, *, centers: Any) -> Batch:
    indices, embeddings = _samples(batch)
    return {"index": indices, "cluster": assigned(embeddings, ray.get(centers)).astype(np.int32)}
