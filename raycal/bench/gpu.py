"""`--gpu`: ceilings of the device, then training, scoring, clustering and whole iterations beside them.

Without CUDA the same code runs on the CPU, for its tests alone.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from statistics import median
from threading import BrokenBarrierError
from time import perf_counter
from typing import Any

import numpy as np
import torch

from raycal.algorithm.clustering import clusterings, inertia
from raycal.algorithm.records import TrainingSet
from raycal.bench import obvious
from raycal.bench.figure import Figure, Goal
from raycal.bench.iteration import Ours, Work, compare
from raycal.bench.material import Options, features, images, learner, settings_of
from raycal.bench.measure import interleaved, ratio
from raycal.bench.training import MOST_OVERHEAD, BareLoop, weights_of
from raycal.config import TrainingConfig

# Of one H200 at 224 px, from its ceilings and published throughputs.
LEAST_TRAINING, LEAST_SCORING = 17_000, 75_000
MOST_KMEANS_SECONDS = 0.05
LEAST_ITERATION_GAIN, LEAST_GAIN_OF_SHARING = 3.0, 1.5


WORK = Work(num_pool=10_000, num_test=2000, labelled=500, budget=1000, image_size=224, loader_workers=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured; the defaults end within ten minutes on one H100 or H200."""

    image_size: int = 224
    batches: tuple[int, ...] = (32, 64, 128, 256)
    training_images: int = 8192
    scoring_images: int = 32_768
    points: int = 50_000
    clusters: int = 1000
    matrix: int = 8192
    copied_bytes: int = 2**31
    trials: int = 4
    trial_images: int = 2048
    work: Work = WORK


QUICK = Sizes(
    image_size=32,
    batches=(8,),
    training_images=32,
    scoring_images=64,
    points=300,
    clusters=10,
    matrix=64,
    copied_bytes=2**16,
    trials=2,
    trial_images=32,
    work=Work(num_pool=60, num_test=20, labelled=20, budget=10, image_size=32, batch_size=16),
)


def run(options: Options) -> Iterator[Figure]:
    """Every figure, the ceilings first."""
    sizes = QUICK if options.quick else Sizes()
    yield from ceilings(sizes, options.repeats)
    yield from training(options, sizes)
    yield from scoring(options, sizes)
    yield from clustering(options, sizes)
    yield compare(
        options,
        sizes.work,
        Goal(">=", LEAST_ITERATION_GAIN),
        clock=synchronised,
        unit="wall",
        benchmark="gpu iteration",
    )
    yield sharing(options, sizes)


def synchronised() -> float:
    """Wall seconds, once the device has done all that it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter()


def device_seconds(call: Callable[[], object]) -> float:
    """Seconds of a call on the device, by its own events."""
    if not torch.cuda.is_available():
        begin = perf_counter()
        call()
        return perf_counter() - begin
    begins, ends = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begins.record()
    call()
    ends.record()
    torch.cuda.synchronize()
    elapsed: float = begins.elapsed_time(ends)
    return elapsed / 1000


def in_turn(arms: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds on the device of arms that take turns, after one call of each to warm up."""
    for arm in arms.values():
        arm()
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            taken[name].append(device_seconds(arm))
    return taken


def ceilings(sizes: Sizes, repeats: int) -> Iterator[Figure]:
    """What the device can do at best: bfloat16 matrix products, and copies of its own memory."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    left, right = (torch.randn(sizes.matrix, sizes.matrix, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randint(256, (sizes.copied_bytes,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    taken = in_turn({"matmul": lambda: left @ right, "copy": lambda: target.copy_(source)}, max(5, repeats))
    yield Figure(
        benchmark="gpu ceilings",
        name="matrix product",
        value=2 * sizes.matrix**3 / median(taken["matmul"]) / 1e12,
        unit="TFLOP/s",
        arms={"matmul": taken["matmul"]},
        setting={"dtype": "bfloat16", "size": sizes.matrix, "arms": "seconds on the device"},
    )
    yield Figure(
        benchmark="gpu ceilings",
        name="copy, read and written",
        value=2 * sizes.copied_bytes / median(taken["copy"]) / 1e12,
        unit="TB/s",
        arms={"copy": taken["copy"]},
        setting={"bytes": sizes.copied_bytes, "arms": "seconds on the device"},
    )


def training(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """Images per second of the learner and of the bare loop, eager and compiled, at each batch size."""
    count = sizes.training_images
    dataset = images(options, count, image_size=sizes.image_size)
    everything = TrainingSet(indices=np.arange(count), labels=dataset.train_labels)
    best = 0.0
    for batch in sizes.batches:
        model = learner(options, dataset, image_size=sizes.image_size, batch_size=batch)
        recipe = TrainingConfig(image_size=sizes.image_size, batch_size=batch, epochs=1, learning_rate=0.01)
        state = weights_of(model)

        def loop(compiled: bool, recipe: TrainingConfig = recipe, state: Any = state, model: Any = model) -> BareLoop:
            return BareLoop(state, dataset, recipe, model.placement, compiled=compiled)

        fits = {"raycal": model.fit, "eager": loop(False).fit}
        if torch.cuda.is_available():  # on a CPU compiling takes minutes and gains nothing
            fits["compiled"] = loop(True).fit
        arms: dict[str, Callable[[], object]] = {
            name: (lambda fit=fit: fit(everything, np.random.default_rng(0)))  # type: ignore[misc]
            for name, fit in fits.items()
        }
        taken = in_turn(arms, options.repeats)
        setting = settings_of(
            model, batch=batch, image_size=sizes.image_size, count=count, arms="seconds on the device, an epoch"
        )
        for name in taken:
            yield Figure(
                benchmark="gpu training",
                name=f"batch {batch}, {name}",
                value=count / median(taken[name]),
                unit="img/s",
                arms={name: taken[name]},
                setting=setting,
            )
        yield Figure(
            benchmark="gpu training",
            name=f"batch {batch}, raycal / eager bare loop",
            value=ratio(taken, "raycal", "eager"),
            goal=Goal("<=", MOST_OVERHEAD),
            arms=taken,
            setting=setting,
        )
        best = max(best, count / median(taken["raycal"]))
    yield Figure(
        benchmark="gpu training",
        name="raycal, best batch",
        value=best,
        unit="img/s",
        goal=Goal(">=", LEAST_TRAINING),
        setting={"image_size": sizes.image_size, "count": count},
    )


def scoring(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """Images per second of `predict`."""
    count = sizes.scoring_images
    model = learner(options, images(options, count, image_size=sizes.image_size), image_size=sizes.image_size)
    everything = np.arange(count)
    taken = in_turn({"raycal": lambda: model.predict(everything)}, options.repeats)
    yield Figure(
        benchmark="gpu scoring",
        name="raycal",
        value=count / median(taken["raycal"]),
        unit="img/s",
        goal=Goal(">=", LEAST_SCORING),
        arms=taken,
        setting=settings_of(model, image_size=sizes.image_size, count=count, arms="seconds on the device"),
    )


def clustering(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """Wall seconds of the clusterings; Faiss updates the centres on the CPU, so the device's events would miss it."""
    points = features(options, sizes.points)
    names = ("kmeans", "two_level_kmeans")
    found: dict[str, Any] = {}
    arms: dict[str, Callable[[], object]] = {
        name: (lambda name=name: found.update({name: clusterings[name](points, sizes.clusters, 0)}))  # type: ignore[misc]
        for name in names
    }
    arms["faiss"] = lambda: found.update(faiss=obvious.kmeans(points, sizes.clusters))
    for arm in arms.values():
        arm()
    taken = interleaved(arms, options.repeats, synchronised)
    loss = {name: inertia(points, cluster_ids) for name, cluster_ids in found.items()}
    setting = {"count": sizes.points, "clusters": sizes.clusters, "iterations": 40, "inertia": loss, "arms": "wall s"}
    for name in names:
        yield Figure(
            benchmark="gpu kmeans",
            name=name,
            value=median(taken[name]),
            unit="s",
            goal=Goal("<=", MOST_KMEANS_SECONDS),
            arms=taken,
            setting=setting,
        )


def sharing(options: Options, sizes: Sizes) -> Figure:
    """Wall seconds of trials one after another over those of all at once, each in a process of its own."""
    work = replace(sizes.work, num_pool=sizes.trial_images, budget=min(sizes.work.budget, sizes.trial_images // 4))
    alone, together = [], []
    for _ in range(options.repeats):
        alone.append(sizes.trials * at_once(options, work, 1))
        together.append(at_once(options, work, sizes.trials))
    taken = {"one after another": alone, "at once": together}
    return Figure(
        benchmark="gpu sharing",
        name=f"wall, one after another / {sizes.trials} at once",
        value=ratio(taken, "one after another", "at once"),
        goal=Goal(">=", LEAST_GAIN_OF_SHARING),
        arms=taken,
        setting={"trials": sizes.trials, "count": work.num_pool, "arms": "wall seconds of the iterations"},
    )


def at_once(options: Options, work: Work, trials: int) -> float:
    """Wall seconds in which that many processes, all of them warm, do an iteration each.

    Raises:
        RuntimeError: One of them failed.
    """
    processes = multiprocessing.get_context("spawn")
    ready, done = processes.Barrier(trials + 1), processes.Barrier(trials + 1)
    started = [processes.Process(target=_trial, args=(options, work, ready, done)) for _ in range(trials)]
    for process in started:
        process.start()
    try:
        ready.wait()
        begin = perf_counter()
        done.wait()
        return perf_counter() - begin
    except BrokenBarrierError as error:
        raise RuntimeError("a trial of the benchmark failed") from error
    finally:
        for process in started:
            process.join()


def _trial(options: Options, work: Work, ready: Barrier, done: Barrier) -> None:
    try:
        trial = Ours(options, images(options, work.num_pool, work.num_test, work.image_size), work)
        trial.iterate()
        synchronised()
        ready.wait()
        trial.iterate()
        synchronised()
        done.wait()
    except BaseException:
        ready.abort()
        done.abort()
        raise
