"""Batches of a dataset's images in the network's input format."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from raycal.learner.device import DeviceSettings
from raycal.learner.inputs import DeviceInputs
from raycal.networks import IMAGENET_MEAN, IMAGENET_STD, Channels, Interpolation


class DeviceImages(DeviceInputs):
    """All images of a dataset as uint8, at the size they are stored in.

    The batches are normalized images (B, 3, image_size, image_size), float32, channels last.

    Args:
        images: (S, H, W, 3) uint8; a CPU never copies it.
        image_size: The side, in pixels, of the square images that the network sees.
        mean: The mean of each channel, by which images are normalized; pixels range from 0 to 1.
        std: The standard deviation of each channel.
        interpolation: How images of another size are resized. `bicubic` means Pillow's kernel, whether images are
            enlarged or reduced, and the results are clipped to the range from black to white.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        image_size: int,
        device_settings: DeviceSettings,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__(images, device_settings)
        self._image_size, self._interpolation = image_size, interpolation
        scale = 1 / (255 * torch.tensor(std))
        shift = -torch.tensor(mean) / torch.tensor(std)
        self._scale, self._shift = (t.view(1, 3, 1, 1).to(device_settings.device) for t in (scale, shift))
        # The same bounds for every pixel of a row: a row of a batch is one piece of memory, so this is several times
        # faster than bounds of one pixel.
        self._black, self._white = (
            bound.expand(1, 3, 1, image_size).contiguous(memory_format=torch.channels_last)
            for bound in (self._shift, self._shift + 255 * self._scale)
        )

    @property
    def elements(self) -> int:
        """The number of pixels that the network sees of an image."""
        return self._image_size**2

    def example(self, number: int) -> Tensor:
        """A batch of gray images, channels last."""
        made_up = torch.zeros(number, 3, self._image_size, self._image_size, device=self._device_settings.device)
        return made_up.contiguous(memory_format=torch.channels_last)

    def _prepared(self, batch: Tensor, augment: Callable[[Tensor], Tensor] | None) -> Tensor:
        images = batch.permute(0, 3, 1, 2)  # (B, H, W, 3) in memory is channels-last already
        if augment is not None:
            images = augment(images)
        # Normalizing before the resize touches fewer pixels.
        batch = torch.addcmul(self._shift, images.float(), self._scale)
        if batch.shape[2:] != (self._image_size, self._image_size):
            batch = self._resized(batch)
        return batch.contiguous(memory_format=torch.channels_last)

    def _resized(self, batch: Tensor) -> Tensor:
        if self._interpolation == "bilinear":
            return functional.interpolate(batch, size=self._image_size, mode="bilinear", antialias=self._shrinks())
        # Without antialiasing, torch uses another kernel than Pillow.
        batch = functional.interpolate(batch, size=self._image_size, mode="bicubic", antialias=True)
        return batch.clamp_(self._black, self._white)  # in place, because new memory takes longer than the clipping

    def _shrinks(self) -> bool:
        return min(self._stored.shape[1:3]) > self._image_size
