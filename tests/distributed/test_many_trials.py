"""Tests that a sweep of many small trials leaves no processes behind, and that its memory does not grow with the number
of trials.

RAYCAL_MANY_TRIALS is the number of trials (default: 30).
"""

import os
import time
from pathlib import Path

import psutil
import pytest
from nodes import left_over, ray_cluster
from sweep_command import SWEEP, family, log_of, started, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

NUM_TRIALS = int(os.environ.get("RAYCAL_MANY_TRIALS", "30"))
# During the first trials, caches fill and modules are imported, so memory grows.
WARM = 20
MEGABYTE = 1e6
TINY = SWEEP.replace("iterations: 3", "iterations: 1").replace("train_size: 200", "train_size: 60")


def test_many_trials_leave_nothing_behind(tmp_path: Path) -> None:
    sweep, storage = tmp_path / "small.yaml", tmp_path / "ray"
    sweep.write_text(TINY + f"grid: {{seed: {list(range(NUM_TRIALS))}}}\n")
    memory: dict[int, float] = {}
    workers: dict[int, float] = {}
    with ray_cluster(2) as cluster:
        begin = time.monotonic()
        with started(sweep, storage, address=cluster.address) as process:
            while process.poll() is None:
                done = log_of(storage).read_text().count("iteration 1/1")
                memory[done] = _megabytes([psutil.Process(process.pid)])
                workers[done] = _megabytes(family(os.getpid(), "ray::RayTrainWorker"))
                time.sleep(0.5)
            seconds = time.monotonic() - begin
        output = log_of(storage).read_text()
        assert process.returncode == 0, output
        wait_until(lambda: not left_over(cluster), timeout=60, every=1)
        print(f"\n{NUM_TRIALS} trials in {seconds:.0f} s")
        print(next(line for line in output.splitlines() if line.startswith("starting took ")))
        for name, sizes in {"driver": memory, "workers": workers}.items():
            print(name, "MB after trials:", {done: round(size) for done, size in sizes.items()})
    finished = list((storage / "small").glob("*/state/finished.json"))
    assert len(finished) == NUM_TRIALS
    warm = [size for done, size in memory.items() if WARM <= done < NUM_TRIALS]
    assert max(warm) - warm[0] < 30, "MB of the driver"


def _megabytes(processes: list[psutil.Process]) -> float:
    """The resident memory of the processes together, in MB."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MEGABYTE
