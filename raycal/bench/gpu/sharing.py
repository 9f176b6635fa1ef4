"""Compares trials that share a GPU with trials that use the GPU one after another."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from time import perf_counter

from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import synchronized
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.iteration import Ours, Work
from raycal.bench.material import Options, images
from raycal.bench.measure import ratio

LEAST_GAIN = 1.2
# The timeout, in seconds, of a barrier. The processes load the compiled network one after another, so the first waits
# long for the last; and a process that dies never arrives.
PATIENCE_SECONDS = 300.0


def sharing(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """The wall-clock seconds of trials that run one after another, divided by the seconds of the same trials when all
    run at once, each in its own process."""
    work = replace(sizes.work, num_pool=sizes.trial_images, budget=min(sizes.work.budget, sizes.trial_images // 4))
    alone = [sizes.trials * seconds for seconds in at_once(options, work, 1)]
    together = at_once(options, work, sizes.trials)
    durations = {"one after another": alone, "at once": together}
    yield Figure(
        benchmark="gpu sharing",
        name=f"wall, one after another / {sizes.trials} at once",
        value=ratio(durations, "one after another", "at once"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting={
            "trials": sizes.trials,
            "count": work.num_pool,
            "compiled": work.compile,
            "arms": "wall seconds of the iterations",
        },
    )


def at_once(options: Options, work: Work, trials: int) -> list[float]:
    """The wall-clock seconds, for each repeat, that `trials` warmed-up processes take to run one iteration each.

    Raises:
        RuntimeError: A process failed.
    """
    processes = multiprocessing.get_context("spawn")
    ready, done = (processes.Barrier(trials + 1, timeout=PATIENCE_SECONDS) for _ in range(2))
    started = [processes.Process(target=_trial, args=(options, work, ready, done)) for _ in range(trials)]
    for process in started:
        process.start()
    durations = []
    try:
        for _ in range(options.repeats):
            ready.wait()
            begin = perf_counter()
            done.wait()
            durations.append(perf_counter() - begin)
    except BrokenBarrierError as error:
        raise RuntimeError("a trial of the benchmark failed") from error
    finally:
        for process in started:
            process.join()
    return durations


def _trial(options: Options, work: Work, ready: Barrier, done: Barrier) -> None:
    try:
        trial = Ours(options, images(options, work.num_pool, work.num_test, work.image_size), work)
        trial.iterate()
        for _ in range(options.repeats):
            synchronized()
            ready.wait()
            trial.iterate()
            synchronized()
            done.wait()
    except BaseException:
        ready.abort()
        done.abort()
        raise
