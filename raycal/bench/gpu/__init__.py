"""`--gpu`: ceilings of the device, then training, scoring, clustering and whole iterations beside them.

Without CUDA the same code runs on the CPU, for its tests alone.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from raycal.bench.figure import Figure, Goal
from raycal.bench.gpu.ceilings import ceilings
from raycal.bench.gpu.clock import synchronised
from raycal.bench.gpu.clustering import clustering
from raycal.bench.gpu.compiling import compiling
from raycal.bench.gpu.scoring import scoring
from raycal.bench.gpu.sharing import sharing
from raycal.bench.gpu.sizes import QUICK, Sizes
from raycal.bench.gpu.training import training
from raycal.bench.iteration import compare
from raycal.bench.material import Options, own_cache
from raycal.learner.device import free_memory

LEAST_ITERATION_GAIN = 8.0


def run(options: Options) -> Iterator[Figure]:
    """Every figure, the ceilings first; what is compiled is compiled anew."""
    sizes = QUICK if options.quick else Sizes()
    with TemporaryDirectory() as folder, own_cache(Path(folder)):
        yield from ceilings(sizes, options.repeats)
        yield from compiling(options, sizes)
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
        free_memory()  # for the processes of the trials
        yield sharing(options, sizes)
