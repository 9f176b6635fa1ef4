"""The network compiled by torch for the batches that nearly all of them are like."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raycal.data.cache import cache_dir
from raycal.errors import one_line
from raycal.learner.device import Placement, kept_generators
from raycal.learner.network import Head, features_of

logger = logging.getLogger(__name__)

FOLDER = "compiled"
REASON_LENGTH = 300
MOST_COMPILERS = 16
# The first run compiles, the second records a CUDA graph, the third replays it.
_RUNS = 3


class BatchSizes(NamedTuple):
    """Of nearly all batches; None: there are none of this kind."""

    training: int | None
    scoring: int


class Compiled(nn.Module):
    """A network that is compiled for one size of batch in training and one in scoring.

    Others, such as what is left over in an epoch, go through the network as it is: nothing is ever compiled again.
    """

    def __init__(self, network: nn.Module, sizes: BatchSizes, *, mode: str | None) -> None:
        super().__init__()
        self.network = network
        self._sizes = {True: sizes.training, False: sizes.scoring}
        self._compiled = torch.compile(network.forward, fullgraph=True, dynamic=False, mode=mode)

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives."""
        given: Tensor
        if len(images) == self._sizes[self.training]:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # the step before is over
            given = self._compiled(images)
        else:
            given = self.network(images)
        return given


def compiled(
    network: nn.Module, head: Head, sizes: BatchSizes, image_size: int, placement: Placement, *, alone: bool
) -> nn.Module:
    """The network compiled, its weights and torch's generator as they were; itself, with a warning, where that fails.

    What is compiled is kept in raycal's cache folder, for all processes of the node, of which one compiles at a time,
    with as many compilers as torch has threads.

    Args:
        alone: No other worker exchanges gradients with this one in the middle of a step.
    """
    from filelock import FileLock

    place = cache_dir() / FOLDER
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(place)  # whatever it is: torch itself sets it when it is imported
    before = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        made = Compiled(network, sizes, mode="reduce-overhead" if alone else None)
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"), _compilers(), _tuned(), kept_generators(placement.device):
            for _ in range(_RUNS):
                _run(made, head, sizes, image_size, placement)
    except Exception as error:  # a compiler that is missing, a full disk, a GPU too old, a bug in torch
        what = one_line(f"{type(error).__name__}: {error}")[:REASON_LENGTH]
        logger.warning("the network could not be compiled, and runs as it is: %s", what)
        return network
    finally:
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
    return made


def _run(made: Compiled, head: Head, sizes: BatchSizes, image_size: int, placement: Placement) -> None:
    def images(number: int) -> Tensor:
        made_up = torch.zeros(number, 3, image_size, image_size, device=placement.device)
        return made_up.contiguous(memory_format=torch.channels_last)

    if sizes.training is not None:
        made.train()
        with placement.autocast():
            logits = made(images(sizes.training))
        logits.float().sum().backward()
        made.zero_grad(set_to_none=True)
    made.eval()
    with torch.inference_mode(), placement.autocast():
        features_of(made, head, images(sizes.scoring))


@contextmanager
def _compilers() -> Iterator[None]:
    from torch._inductor import async_compile, config

    config.compile_threads = min(torch.get_num_threads(), MOST_COMPILERS)
    try:
        yield
    finally:
        async_compile.shutdown_compile_workers()  # else they stay, and take half a gigabyte each


@contextmanager
def _tuned() -> Iterator[None]:
    """Let cuDNN try its algorithms: for the batches to come, and not again for every number of images left over."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
