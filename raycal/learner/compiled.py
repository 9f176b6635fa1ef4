"""Compiles the network with torch for the two batch sizes that nearly all batches have."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raycal.data.cache import cache_dir
from raycal.errors import one_line, shortened
from raycal.learner.device import DeviceSettings, kept_generators
from raycal.learner.inputs import DeviceInputs
from raycal.learner.network import Head, embeddings_of

logger = logging.getLogger(__name__)

FOLDER = "compiled"
REASON_LENGTH = 300
MOST_COMPILERS = 16
# The first run compiles, the second run records a CUDA graph, and the third run replays it.
_RUNS = 3


class BatchSizes(NamedTuple):
    """The number of samples in nearly every batch of training, and in nearly every batch of scoring. None if there is
    no such batch.
    """

    training: int | None
    scoring: int


class Compiled(nn.Module):
    """A network that is compiled for one batch size in training and one in scoring.

    Batches of other sizes, such as the last one of an epoch, go through the uncompiled network, so that nothing is ever
    compiled again.
    """

    def __init__(self, network: nn.Module, sizes: BatchSizes, *, mode: str | None) -> None:
        super().__init__()
        self.network = network
        self._sizes = {True: sizes.training, False: sizes.scoring}
        self._compiled = torch.compile(network.forward, fullgraph=True, dynamic=False, mode=mode)

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of the network."""
        outputs: Tensor
        if len(inputs) == self._sizes[self.training]:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # ends the previous step
            outputs = self._compiled(inputs)
        else:
            outputs = self.network(inputs)
        return outputs


def compiled(
    network: nn.Module,
    head: Head,
    sizes: BatchSizes,
    inputs: DeviceInputs,
    device_settings: DeviceSettings,
    *,
    alone: bool,
) -> nn.Module:
    """The compiled network or, if compiling fails, the network itself, with a warning.

    The weights and torch's random generators stay as they were. The compiled code is kept in raycal's cache folder for
    all processes of the node. One process compiles at a time, with as many compilers as torch has threads.

    Args:
        alone: True if this worker does not exchange gradients with other workers in the middle of a step.
    """
    from filelock import FileLock

    place = cache_dir() / FOLDER
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(place)  # always replaced, because torch sets this variable on import
    before = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        made = Compiled(network, sizes, mode="reduce-overhead" if alone else None)
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"), _compilers(), _tuned(), kept_generators(device_settings.device):
            for _ in range(_RUNS):
                _run(made, head, sizes, inputs, device_settings)
    except Exception as error:  # such as a missing compiler, a full disk, a GPU that is too old, or a bug of torch
        what = shortened(one_line(f"{type(error).__name__}: {error}"), REASON_LENGTH)
        logger.warning("the network could not be compiled and runs uncompiled: %s", what)
        return network
    finally:
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
    return made


def _run(made: Compiled, head: Head, sizes: BatchSizes, inputs: DeviceInputs, device_settings: DeviceSettings) -> None:
    if sizes.training is not None:
        made.train()
        with device_settings.autocast():
            logits = made(inputs.example(sizes.training))
        logits.float().sum().backward()
        made.zero_grad(set_to_none=True)
    made.eval()
    with torch.inference_mode(), device_settings.autocast():
        embeddings_of(made, head, inputs.example(sizes.scoring))


@contextmanager
def _compilers() -> Iterator[None]:
    from torch._inductor import async_compile, config

    config.compile_threads = min(torch.get_num_threads(), MOST_COMPILERS)
    try:
        yield
    finally:
        async_compile.shutdown_compile_workers()  # otherwise the compilers keep running, and each takes half a gigabyte


@contextmanager
def _tuned() -> Iterator[None]:
    """Let cuDNN time its algorithms in this block only, so that it does not time them again for each size of a last
    batch.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
