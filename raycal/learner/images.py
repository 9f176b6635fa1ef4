"""Batches of a dataset's images in the network's input format, from the device's memory or streamed to it."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from raycal.learner.device import DeviceSettings
from raycal.networks import IMAGENET_MEAN, IMAGENET_STD, Channels

# Changes a batch of images before it enters the network: it maps images (B, 3, H, W), uint8 on the device, and the
# slice of the rows that the batch consists of, to images of the same shape and type.
Augment = Callable[[Tensor, slice], Tensor]


class DeviceImages:
    """All images of a dataset as uint8, at the size they are stored in, on the device if they fit there.

    Images that do not fit stay on the host, where they may be memory-mapped. The device then holds two batches at a
    time: the one in use and the next one, which a thread reads meanwhile. The batches are the same to the last bit in
    both cases.

    Args:
        images: (S, H, W, 3) uint8; a CPU never copies it.
        image_size: The side, in pixels, of the square images that the network sees.
        mean: The mean of each channel, by which images are normalized; pixels range from 0 to 1.
        std: The standard deviation of each channel.

    Attributes:
        resident: Whether the images are on the device.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        image_size: int,
        device_settings: DeviceSettings,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
    ) -> None:
        self._device_settings, self._image_size = device_settings, image_size
        self.resident = images.nbytes <= device_settings.room_for_images()
        with warnings.catch_warnings():
            # The array is read-only, and no code here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            on_host = torch.from_numpy(images)
        self._images = on_host.to(device_settings.device) if self.resident else on_host
        scale = 1 / (255 * torch.tensor(std))
        shift = -torch.tensor(mean) / torch.tensor(std)
        self._scale, self._shift = (t.view(1, 3, 1, 1).to(device_settings.device) for t in (scale, shift))

    def batches(
        self, rows: npt.NDArray[np.int64], parts: Sequence[slice], augment: Augment | None = None
    ) -> Iterator[Tensor]:
        """Normalized images (B, 3, image_size, image_size), float32, channels last, for each part of the rows.

        Args:
            rows: (n,) int64, rows of the dataset.
            parts: The slice of `rows` that makes up each batch.
            augment: Changes the images of each batch at the size they are stored in. None means that they stay as they
                are.
        """
        pixels = self._resident(rows, parts) if self.resident else self._streamed(rows, parts)
        for part, batch in zip(parts, pixels, strict=True):
            images = batch.permute(0, 3, 1, 2)  # (B, H, W, 3) in memory is channels-last already
            yield self._normalized(images if augment is None else augment(images, part))

    def _resident(self, rows: npt.NDArray[np.int64], parts: Sequence[slice]) -> Iterator[Tensor]:
        on_device = self._device_settings.on_device(rows)
        for part in parts:
            yield self._images[on_device[part]]

    def _streamed(self, rows: npt.NDArray[np.int64], parts: Sequence[slice]) -> Iterator[Tensor]:
        on_host = torch.from_numpy(rows)

        def read(part: slice) -> Tensor:
            batch = self._images[on_host[part]]
            if self._device_settings.device.type == "cuda":
                batch = batch.pin_memory()  # otherwise the copy waits for the device
            return batch.to(self._device_settings.device, non_blocking=True)

        with ThreadPoolExecutor(1) as reader:
            coming = deque(reader.submit(read, part) for part in parts[:1])
            for number in range(len(parts)):
                batch = coming.popleft().result()
                coming.extend(reader.submit(read, part) for part in parts[number + 1 : number + 2])
                yield batch

    def _normalized(self, images: Tensor) -> Tensor:
        # Normalizing before the resize touches fewer pixels.
        batch = torch.addcmul(self._shift, images.float(), self._scale)
        if batch.shape[2:] != (self._image_size, self._image_size):
            batch = functional.interpolate(batch, size=self._image_size, mode="bilinear", antialias=self._shrinks())
        return batch.contiguous(memory_format=torch.channels_last)

    def _shrinks(self) -> bool:
        return min(self._images.shape[1:3]) > self._image_size
