"""`trials`: compares a sweep that runs two trials at a time on Ray with a sweep that runs the same trials one after
another."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import interleaved, ratio
from raycal.bench.sweeps import run_sweep, write_sweep

LEAST_GAIN = 1.5


def run(options: Options) -> Iterator[Figure]:
    """Wall-clock seconds of a sweep of four trials run one at a time, divided by the seconds of the same sweep run two
    at a time. Both times include the start of Ray."""
    with TemporaryDirectory() as folder:
        files = {}
        for concurrent in (1, 2):
            place = Path(folder) / str(concurrent)
            place.mkdir()
            files[concurrent] = write_sweep(
                place,
                options,
                trials=4,
                epochs=options.size(20, 1),
                train_size=options.size(400, 50),
                concurrent=concurrent,
            )
        storages = (Path(folder) / f"runs-{number}" for number in range(10**6))
        durations = interleaved(
            {
                "one": lambda: run_sweep(files[1], next(storages)),
                "two": lambda: run_sweep(files[2], next(storages)),
            },
            options.repeats,
            perf_counter,
        )
    yield Figure(
        benchmark="trials",
        name="wall, one at a time / two",
        value=ratio(durations, "one", "two"),
        goal=Goal(">=", LEAST_GAIN),
        arms=durations,
        setting={"trials": 4, "threads": 1, "arms": "wall seconds of the sweep"},
    )
