from dataclasses import replace

import pytest

from raycal.capacity.allocation import Allocation, ClusteringShare
from raycal.config import WorkerSettings

ON_CPU = ClusteringShare(node_id="a", threads=4, gpus=0, concurrency=3)
ON_GPU = ClusteringShare(node_id="b", threads=8, gpus=0.05, concurrency=2)
CPUS = Allocation(workers=1, threads=1, gpus=0, concurrent_trials=2, clustering=(ON_CPU,))
GPUS = Allocation(
    workers=2, threads=8, gpus=0.95, concurrent_trials=4, clustering=(ON_GPU, ON_GPU), driver_bytes=18, worker_bytes=9
)


def test_driver_and_workers_ask_for_a_little_less_than_whole_cores() -> None:
    assert (CPUS.driver, CPUS.worker) == ({"CPU": 0.001}, {"CPU": pytest.approx(0.95)})
    assert GPUS.driver == {"CPU": 0.001, "memory": 18}
    assert GPUS.worker == {"CPU": pytest.approx(7.6), "GPU": 0.95, "memory": 9}


@pytest.mark.parametrize(
    ("allocation", "words"),
    [
        (CPUS, "2 trials at a time, 1 worker each with 1 CPU thread; clustering on 1 CPU actor"),
        (GPUS, "4 trials at a time, 2 workers each with 8 CPU threads and 0.95 GPU; clustering on 2 GPU actors"),
        (
            replace(GPUS, gpus=2.0, clustering=(ON_CPU,) * 3),
            "4 trials at a time, 2 workers each with 8 CPU threads and 2 GPUs; clustering on 3 CPU actors",
        ),
        (
            replace(CPUS, clustering=()),
            "2 trials at a time, 1 worker each with 1 CPU thread; clustering in the same process",
        ),
    ],
)
def test_in_words(allocation: Allocation, words: str) -> None:
    assert str(allocation) == words


@pytest.mark.parametrize(("gpus", "share"), [(0.25, 0.25), (0.95, 0.95), (1.0, 1.0), (2.0, 1.0), (0, 1.0)])
def test_worker_computes_with_its_part_of_one_gpu(gpus: float, share: float) -> None:
    assert replace(GPUS, gpus=gpus).of_worker == WorkerSettings(threads=8, gpu_share=share, compile=None)
    assert replace(GPUS, compile=True).of_worker.compile is True


def test_fewer_trials_need_fewer_clusterings() -> None:
    fewer = replace(CPUS, concurrent_trials=4, clustering=(ON_CPU, ON_GPU, ON_CPU)).at_most(2)

    assert fewer.concurrent_trials == 2
    assert fewer.clustering == (replace(ON_CPU, concurrency=2), ON_GPU)
    assert CPUS.at_most(5) == replace(CPUS, clustering=(replace(ON_CPU, concurrency=2),))
