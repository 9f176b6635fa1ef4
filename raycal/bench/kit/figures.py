"""`python -m raycal.bench.kit.figures STEP`: runs one step of the GPU benchmark in its own process.

Because of the separate processes, an error in one step, or the state that a step leaves in the driver, does not affect
the other steps. Each step can also be stopped at its time limit.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from raycal.algorithm.clustering import clusterings
from raycal.bench.figure import Figure
from raycal.bench.gpu import STEPS
from raycal.bench.gpu.clock import synchronized
from raycal.bench.gpu.sizes import QUICK, Sizes
from raycal.bench.kit.record import ABOUT, append, append_figure
from raycal.bench.machine import machine
from raycal.bench.material import Options, embeddings

MACHINE = "machine"
# The batch sizes of training: the batch size of whole iterations, and a larger one.
BATCHES = (64, 256)


def main() -> int:
    """Run the command line and return 0; an error raises an exception."""
    parser = argparse.ArgumentParser(prog="python -m raycal.bench.kit.figures")
    parser.add_argument("step", choices=[MACHINE, *STEPS])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clustering", default="kmeans")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.step == MACHINE:
        append(arguments.out, ABOUT, {"machine": machine()})
        return 0
    options = Options(quick=arguments.quick, repeats=1 if arguments.quick else 3, clustering=arguments.clustering)
    for figure in measure(arguments.step, options):
        append_figure(arguments.out, figure, arguments.step)
    return 0


def measure(step: str, options: Options) -> Iterator[Figure]:
    """The figures of a step."""
    sizes = QUICK if options.quick else Sizes(batches=BATCHES)
    if step == "kmeans":
        yield first_call(options, sizes)
    if step == "sharing":
        sizes = replace(sizes, work=replace(sizes.work, compile=False))  # Nothing is compiled here, as in short trials.
    yield from STEPS[step](options, sizes)


def first_call(options: Options, sizes: Sizes) -> Figure:
    """The wall-clock seconds of the first clustering in a process, in which the driver may compile the code of
    Faiss."""
    points = embeddings(options, sizes.points)
    begin = synchronized()
    clusterings["kmeans"](points, sizes.clusters, 0)
    seconds = perf_counter() - begin
    return Figure(
        benchmark="gpu kmeans",
        name="kmeans, first call",
        value=seconds,
        unit="s",
        arms={"first call": [seconds]},
        setting={"count": sizes.points, "clusters": sizes.clusters, "arms": "wall seconds"},
    )


if __name__ == "__main__":
    sys.exit(main())
