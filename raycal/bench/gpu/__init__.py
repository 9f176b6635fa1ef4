"""`--gpu`: the benchmark of a GPU.

The first steps measure what decides how raycal uses a GPU. The other steps compare training and scoring with what the
device can do. Without CUDA the same code runs on the CPU, for its tests only.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from raycal.bench.figure import Figure
from raycal.bench.gpu.ceilings import ceilings
from raycal.bench.gpu.clustering import clustering
from raycal.bench.gpu.compiling import compiling
from raycal.bench.gpu.iteration import iteration
from raycal.bench.gpu.scoring import scoring
from raycal.bench.gpu.sharing import sharing
from raycal.bench.gpu.sizes import QUICK, Sizes
from raycal.bench.gpu.training import training
from raycal.bench.material import Options, own_cache
from raycal.learner.device import free_memory

STEPS: Mapping[str, Callable[[Options, Sizes], Iterator[Figure]]] = {
    "kmeans": clustering,
    "compiling": compiling,
    "iteration": iteration,
    "ceilings": ceilings,
    "training": training,
    "scoring": scoring,
    "sharing": sharing,
}


def run(options: Options) -> Iterator[Figure]:
    """The figures of all steps; the cache is empty at first, so that all networks are compiled."""
    sizes = QUICK if options.quick else Sizes()
    with TemporaryDirectory() as folder, own_cache(Path(folder)):
        for step in STEPS.values():
            yield from step(options, sizes)
            free_memory()  # The processes of trials that share the GPU need this memory.
