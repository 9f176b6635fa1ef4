"""Measures a whole iteration of active learning: run eagerly by raycal, compiled by raycal, and run by the obvious
script."""

from collections.abc import Iterator
from dataclasses import replace

from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.clock import synchronized
from raycal.bench.gpu.sizes import Sizes
from raycal.bench.iteration import Ours, Script, setting_of
from raycal.bench.material import Options, images
from raycal.bench.measure import interleaved, ratio

LEAST_GAIN_OF_COMPILING = 1.2
LEAST_ITERATION_GAIN = 8.0


def iteration(options: Options, sizes: Sizes) -> Iterator[Figure]:
    """Ratios of the wall-clock seconds of iterations that start from the same weights and labels.

    raycal's eager and compiled arms take turns first, so that the gain of compiling is known before the slower script
    starts.
    """
    work = sizes.work
    dataset = images(options, work.num_pool, work.num_test, work.image_size)
    ours = {
        "compiled" if compiled else "eager": Ours(options, dataset, replace(work, compile=compiled))
        for compiled in sizes.compiled
    }
    for arm in ours.values():
        arm.iterate()
    durations = interleaved({name: arm.iterate for name, arm in ours.items()}, options.repeats, synchronized)
    if len(ours) > 1:
        yield Figure(
            benchmark="gpu iteration",
            name="wall, eager / compiled",
            value=ratio(durations, "eager", "compiled"),
            goal=Goal(">=", LEAST_GAIN_OF_COMPILING),
            arms=durations,
            setting={"image_size": work.image_size, "count": work.num_pool, "arms": "wall seconds of an iteration"},
        )
    script = Script(options, dataset, work)
    durations |= interleaved({"script": script.iterate}, options.repeats, synchronized)
    for name, arm in ours.items():
        yield Figure(
            benchmark="gpu iteration",
            name=f"wall, obvious script / raycal, {name}",
            value=ratio(durations, "script", name),
            goal=Goal(">=", LEAST_ITERATION_GAIN),
            arms={name: durations[name], "script": durations["script"]},
            setting=setting_of(arm, script, work, "wall seconds of an iteration"),
        )
