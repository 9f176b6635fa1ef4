"""The sizes of the GPU benchmark."""

from dataclasses import dataclass

import torch

from raycal.bench.iteration import Work

WORK = Work(
    num_pool=10_000,
    num_test=2000,
    labeled=500,
    budget=1000,
    image_size=224,
    loader_workers=16,
    threads=torch.get_num_threads(),  # Only compiling uses these threads.
    compile=True,
)
# Whether the network is compiled, in each arm; on a CPU, compiling takes minutes and makes nothing faster. The compiled
# arm is first because cuDNN keeps the first algorithm that it chose for each kind of convolution: it tries all
# algorithms while a network is compiled, and chooses by a heuristic otherwise.
COMPILED_AND_EAGER = (True, False) if torch.cuda.is_available() else (False,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of the steps; the defaults take ten minutes on one H100 or H200.

    Attributes:
        image_size: The side, in pixels, of the images that the network sees.
        batches: The batch sizes of training.
        training_images: The number of images of training and compiling.
        scoring_images: The number of images of scoring.
        points: The number of points of k-means.
        clusters: The number of clusters of k-means.
        matrix: The number of rows and columns of the matrices in `ceilings`.
        copied_bytes: The number of bytes of a copy in `ceilings`.
        trials: The number of trials that share the GPU.
        trial_images: The number of images in the pool of each trial that shares the GPU.
        work: The work of a whole iteration.
        compiled: Whether the network is compiled, for each arm of training, scoring and the whole iteration.
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
    work=Work(num_pool=60, num_test=20, labeled=20, budget=10, image_size=32, batch_size=16),
)
