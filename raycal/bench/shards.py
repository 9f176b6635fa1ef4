"""`shards`: selects from and clusters a pool in shards on Ray, and compares the results with those of one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import numpy as np
import psutil
import pyarrow.parquet as pq

from raycal.algorithm.acquisition import top
from raycal.algorithm.clustering.sampled import BLOCK_ROWS, blocks, sampled_kmeans
from raycal.algorithm.records import Floats
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import GIB, memory
from raycal.bench.scale import check_space
from raycal.bench.scale_parts import NUM_ASKED, NUM_CLUSTERS, WIDTH, head, write_embeddings

SIZE, QUICK_SIZE = 10**6, 3 * BLOCK_ROWS + 1000
ALL = 1.0
_POLL_SECONDS = 0.1


def run(options: Options) -> Iterator[Figure]:
    """The shares of the selected samples and of the cluster ids that are those of one process, the seconds of each step
    on Ray, and the memory of the largest process."""
    from raycal.distributed import sharded_pool  # Ray is imported late, because other benchmarks do without it.
    from raycal.distributed.session import ray_session

    size = options.size(max(options.sizes or (SIZE,)), QUICK_SIZE)
    num_asked, num_clusters = options.size(NUM_ASKED, 50), options.size(NUM_CLUSTERS, 8)
    score, seconds = sharded_pool.EntropyOf(head()), dict[str, float]()

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        begin = perf_counter()
        yield
        seconds[step] = perf_counter() - begin

    with TemporaryDirectory(prefix="raycal-shards-") as folder:
        file, clusters = Path(folder) / "embeddings.npy", Path(folder) / "clusters"
        check_space(Path(folder), size)
        write_embeddings(file, size)
        rows_per_task = BLOCK_ROWS if options.quick else sharded_pool.ROWS_PER_TASK
        with ray_session(None), _largest_process() as peak:
            sharded_pool.quiet()
            pool = sharded_pool.from_npy([file], rows_per_task=rows_per_task)
            with timed("score and select"):
                asked = sharded_pool.most_informative(pool, score, num_asked, seed=0)
            with timed("train"):
                centers = sharded_pool.train_centers(pool, num_clusters, seed=0)
            with timed("assign"):
                sharded_pool.assign(pool, centers).write_parquet(str(clusters))
        whole: Floats = np.load(file, mmap_mode="r")
        scores = np.concatenate([score(np.asarray(whole[block], np.float32)) for block in blocks(size)])
        same_samples = float(np.mean(asked == top(np.arange(size), scores, num_asked, 0).indices))
        same_ids = _share_of_same_ids(clusters, whole, num_clusters)
    setting = {
        "count": size,
        "width": WIDTH,
        "clusters": num_clusters,
        "dtype": "float16",
        "rows of a task": rows_per_task,
    }
    for name, share in (
        (f"share of the top {num_asked:,} of {size:,} that one process selects, too", same_samples),
        (f"share of the {size:,} cluster ids that one process gives, too", same_ids),
    ):
        yield Figure(benchmark="shards", name=name, value=share, unit="", goal=Goal(">=", ALL), setting=setting)
    for step, value in seconds.items():
        yield Figure(benchmark="shards", name=f"wall, {step}", value=value, unit="s", setting=setting)
    yield Figure(
        benchmark="shards", name="memory of the largest process", value=peak[0] / GIB, unit="GiB", setting=setting
    )


def _share_of_same_ids(folder: Path, whole: Floats, num_clusters: int) -> float:
    """The share of the cluster ids in the Parquet files of a folder that are those of one process. The share is 0 if
    the files have not all samples."""
    expected, same = sampled_kmeans(whole, num_clusters, 0), 0
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        same += int(np.count_nonzero(expected[table["index"].to_numpy()] == table["cluster"].to_numpy()))
    return same / len(whole)


@contextmanager
def _largest_process() -> Iterator[list[int]]:
    """Yield a list that collects the most memory of a process of Python: of this one, and of all that Ray starts here.
    The pages of files and of Ray's object store do not count."""
    peak, ended = [0], Event()

    def watch() -> None:
        this = psutil.Process()
        while not ended.wait(_POLL_SECONDS):
            for process in (this, *this.children(recursive=True)):
                try:
                    peak[0] = max(peak[0], memory(process))
                except psutil.Error:
                    continue

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
