"""`rerun`: compares a second start of a finished sweep, which has nothing left to do, with its first run."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options
from raycal.bench.measure import interleaved, ratio
from raycal.bench.sweeps import run_sweep, write_sweep

MOST_SHARE = 0.01


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of `--resume` on a finished sweep, divided by the CPU seconds of the first run; both times include
    the imports."""
    trials, epochs, train_size = options.size(2, 1), options.size(10, 1), options.size(400, 50)
    with TemporaryDirectory() as folder:
        sweep = write_sweep(Path(folder), options, trials=trials, epochs=epochs, train_size=train_size)
        storages = [Path(folder) / f"runs-{number}" for number in range(options.repeats)]
        firsts, agains = iter(storages), iter(storages)
        durations = interleaved(
            {
                "first": lambda: run_sweep(sweep, next(firsts), "--local"),
                "again": lambda: run_sweep(sweep, next(agains), "--local", "--resume"),
            },
            options.repeats,
        )
    setting = {"trials": trials, "epochs": epochs, "count": train_size, "arms": "CPU seconds of the process"}
    yield Figure(
        benchmark="rerun",
        name="CPU, second start / first run",
        value=ratio(durations, "again", "first"),
        goal=Goal("<=", MOST_SHARE),
        arms=durations,
        setting=setting,
    )
    yield Figure(benchmark="rerun", name="again", value=median(durations["again"]), unit="CPU s", setting=setting)
