"""The images of a dataset on the device, and batches of them as the network wants them."""

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from raycal.learner.device import Placement

# ImageNet statistics, whatever the weights: torchvision's ResNet-18 was trained with them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class DeviceImages:
    """All images of a dataset as uint8 on the device, at the size they are stored in.

    Args:
        images: (S, H, W, 3) uint8; not copied on a CPU, so a memory-mapped array stays on disk until it is used.
        image_size: Side in pixels of the square the network sees.
    """

    def __init__(self, images: npt.NDArray[np.uint8], image_size: int, placement: Placement) -> None:
        with warnings.catch_warnings():
            # The array is read-only, and nothing here writes to it.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._images = torch.from_numpy(images).to(placement.device)
        self._image_size = image_size
        scale = 1 / (255 * torch.tensor(STD))
        shift = -torch.tensor(MEAN) / torch.tensor(STD)
        self._scale, self._shift = (t.view(1, 3, 1, 1).to(placement.device) for t in (scale, shift))

    def batch(self, rows: Tensor, flip: Tensor | None = None) -> Tensor:
        """Normalised images (B, 3, image_size, image_size), float32, channels last.

        Args:
            rows: (B,) int64 on the device, rows of the dataset.
            flip: (B,) bool on the device: which images to mirror left to right.
        """
        # (B, H, W, 3) in memory is channels-last as it stands. Few pixels first, then the resize.
        batch = self._images[rows].permute(0, 3, 1, 2)
        batch = torch.addcmul(self._shift, batch.float(), self._scale)
        if flip is not None:
            batch = torch.where(flip.view(-1, 1, 1, 1), batch.flip(3), batch)
        if batch.shape[2:] != (self._image_size, self._image_size):
            batch = functional.interpolate(batch, size=self._image_size, mode="bilinear", antialias=self._shrinks())
        return batch.contiguous(memory_format=torch.channels_last)

    def _shrinks(self) -> bool:
        return min(self._images.shape[1:3]) > self._image_size
