"""Activations of the frozen layers of a network for all images of a dataset, computed once for all trials on the node.

A training that changes only the layers behind them then reads the activations in place of the images. The files lie in
the cache folder.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raycal.data.cache import cache_dir, cached_arrays, evict
from raycal.errors import InputError
from raycal.learner.device import DeviceSettings
from raycal.learner.inputs import DeviceInputs

logger = logging.getLogger(__name__)

FOLDER = "activations"
# Activations that take more space are not kept. All entries together take at most this space, too: the least recently
# used ones are removed first.
MAX_BYTES = 16 * 2**30


class DeviceActivations(DeviceInputs):
    """The activations of the frozen layers, in the form in which `kept_activations` returns them.

    The batches have the shape that the frozen layers give them; those with channels are channels last.

    Args:
        stored: (S, H, W, C) or (S, ...), float32, or bfloat16 stored as int16.
        elements: The number of pixels of an image, which limits the size of a scoring batch as it does for images.
    """

    def __init__(self, stored: npt.NDArray[np.generic], elements: int, device_settings: DeviceSettings) -> None:
        super().__init__(stored, device_settings)
        self._elements = elements

    @property
    def elements(self) -> int:
        """The number of pixels of the image to which the activations belong."""
        return self._elements

    def example(self, number: int) -> Tensor:
        """A batch of zeros."""
        return self._prepared(torch.zeros_like(self._stored[:1]).expand(number, *self._stored.shape[1:]), None)

    def _prepared(self, batch: Tensor, augment: Callable[[Tensor], Tensor] | None) -> Tensor:
        if batch.dtype == torch.int16:
            batch = batch.view(torch.bfloat16)
        return batch.permute(0, 3, 1, 2) if batch.ndim == 4 else batch


def kept_activations(
    key: Mapping[str, object], num_samples: int, one: Tensor, compute: Callable[[int], Tensor], batch: int
) -> npt.NDArray[np.generic] | None:
    """The activations of all samples, read-only and memory-mapped. None if they are too large or cannot be kept.

    Args:
        key: All values on which the bits of the activations depend.
        num_samples: The number of samples S.
        one: The activations of a batch, for their shape and type.
        compute: Returns the activations of the batch that begins at a row. It is called for all batches in their order,
            unless another process has computed the activations.
        batch: The number of samples in a batch.
    """
    shape = (num_samples, *_stored(one).shape[1:])
    dtype = _stored(one).numpy().dtype
    if int(np.prod(shape)) * dtype.itemsize > MAX_BYTES:
        return None

    def make(folder: Path) -> None:
        file = np.lib.format.open_memmap(folder / "activations.npy", mode="w+", dtype=dtype, shape=shape)
        for begin in range(0, num_samples, batch):
            part = _stored(compute(begin)).numpy()
            file[begin : begin + len(part)] = part
        file.flush()

    try:
        found = cached_arrays({**key, "content": "activations of frozen layers"}, make, folder=FOLDER)["activations"]
    except InputError as error:
        logger.warning("%s: cannot keep activations on disk (%s)", cache_dir(), error.__cause__)
        return None
    evict(FOLDER, keep_bytes=MAX_BYTES)
    return found


def _stored(activations: Tensor) -> Tensor:
    """Activations in the form of the file: on the host, channels last, and bfloat16 as int16."""
    on_host = activations.detach().cpu()
    if on_host.ndim == 4:
        on_host = on_host.permute(0, 2, 3, 1)
    on_host = on_host.contiguous()
    return on_host.view(torch.int16) if on_host.dtype == torch.bfloat16 else on_host.float()
