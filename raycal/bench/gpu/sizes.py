"""How much the benchmark of a GPU measures."""

from dataclasses import dataclass

import torch

from raycal.bench.iteration import Work

WORK = Work(
    num_pool=10_000,
    num_test=2000,
    labelled=500,
    budget=1000,
    image_size=224,
    loader_workers=16,
    threads=torch.get_num_threads(),  # for the compilers alone
    compile=True,
)
# On a CPU compiling takes minutes and gains nothing. First, as cuDNN keeps, of each kind of convolution, the first
# algorithm that it took: the best where a network is compiled, else the one that it expects to be.
COMPILED_AND_EAGER = (True, False) if torch.cuda.is_available() else (False,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The defaults are for ten minutes on one H100 or H200.

    Attributes:
        compiled: Of the arms of training and scoring, whether their network is compiled.
    """

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
    compiled: tuple[bool, ...] = COMPILED_AND_EAGER


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
