"""Batches of a dataset's samples in the network's input format, from the device's memory or streamed to it."""

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raycal.learner.device import DeviceSettings

# Changes a batch of images before it enters the network: it maps images (B, 3, H, W), uint8 on the device, and the
# slice of the rows that the batch consists of, to images of the same shape and type.
Augment = Callable[[Tensor, slice], Tensor]


class DeviceInputs(ABC):
    """All samples of a dataset in the form in which they are stored, on the device if they fit there.

    There is one subclass for each kind of samples, which turns a stored batch into the network's input.

    Samples that do not fit stay on the host, where they may be memory-mapped. The device then holds two batches at a
    time: the one in use and the next one, which a thread reads meanwhile. The batches are the same to the last bit,
        whether the samples are on the device or not.

    Args:
        stored: An array with a row for each of S samples; a CPU never copies it.

    Attributes:
        resident: Whether the samples are on the device.
        has_one_shape: Whether all batches of the same size have the same shape, for which a network can be compiled.
    """

    has_one_shape: ClassVar[bool] = True

    def __init__(self, stored: npt.NDArray[Any], device_settings: DeviceSettings) -> None:
        self._device_settings = device_settings
        self.resident = stored.nbytes <= device_settings.room_for_images()
        with warnings.catch_warnings():
            # The array is read-only, and no code here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            on_host = torch.from_numpy(stored)
        self._stored = on_host.to(device_settings.device) if self.resident else on_host

    @property
    @abstractmethod
    def elements(self) -> int:
        """The number of places in a sample as the network sees it, such as pixels; it limits the size of a scoring
        batch."""

    @abstractmethod
    def example(self, number: int) -> Tensor:
        """A made-up batch of this many samples, with the shape and the memory layout of a real one."""

    def scoring_order(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Positions of the rows in the order in which they are scored fastest. None means the order of the rows."""
        return None

    def scoring_parts(self, rows: npt.NDArray[np.int64], size: int) -> list[slice]:
        """The slice of the rows that makes up each batch of a scoring.

        Args:
            rows: (n,) rows of the dataset, in the order in which they are scored.
            size: The largest number of samples of a batch.
        """
        return [slice(begin, min(begin + size, len(rows))) for begin in range(0, len(rows), size)]

    @abstractmethod
    def _prepared(self, batch: Tensor, augment: Callable[[Tensor], Tensor] | None) -> Tensor:
        """The network's input for a stored batch; see `batches`."""

    def batches(
        self, rows: npt.NDArray[np.int64], parts: Sequence[slice], augment: Augment | None = None
    ) -> Iterator[Tensor]:
        """The network's input, a tensor with B samples, for each part of the rows.

        Args:
            rows: (n,) int64, rows of the dataset.
            parts: The slice of `rows` that makes up each batch.
            augment: Changes the images of each batch at the size they are stored in. None means that they stay as they
                are. Samples of other kinds are never changed.
        """
        stored = self._resident(rows, parts) if self.resident else self._streamed(rows, parts)
        for part, batch in zip(parts, stored, strict=True):
            yield self._prepared(batch, None if augment is None else partial(_of_part, augment, part))

    def _resident(self, rows: npt.NDArray[np.int64], parts: Sequence[slice]) -> Iterator[Tensor]:
        on_device = self._device_settings.on_device(rows)
        for part in parts:
            yield self._stored[on_device[part]]

    def _streamed(self, rows: npt.NDArray[np.int64], parts: Sequence[slice]) -> Iterator[Tensor]:
        on_host = torch.from_numpy(rows)

        def read(part: slice) -> Tensor:
            batch = self._stored[on_host[part]]
            if self._device_settings.device.type == "cuda":
                batch = batch.pin_memory()  # otherwise the copy waits for the device
            return batch.to(self._device_settings.device, non_blocking=True)

        with ThreadPoolExecutor(1) as reader:
            coming = deque(reader.submit(read, part) for part in parts[:1])
            for number in range(len(parts)):
                batch = coming.popleft().result()
                coming.extend(reader.submit(read, part) for part in parts[number + 1 : number + 2])
                yield batch


def _of_part(augment: Augment, part: slice, images: Tensor) -> Tensor:
    return augment(images, part)


class DeviceVectors(DeviceInputs):
    """The vectors of a dataset, which the network sees as they are.

    Args:
        vectors: (S, D) float32; a CPU never copies it.
    """

    def __init__(self, vectors: npt.NDArray[np.float32], device_settings: DeviceSettings) -> None:
        super().__init__(vectors, device_settings)

    @property
    def elements(self) -> int:
        """The number of values in a vector."""
        return int(self._stored.shape[1])

    def example(self, number: int) -> Tensor:
        """A batch of zeros."""
        return torch.zeros(number, self.elements, device=self._device_settings.device)

    def _prepared(self, batch: Tensor, augment: Callable[[Tensor], Tensor] | None) -> Tensor:
        return batch
