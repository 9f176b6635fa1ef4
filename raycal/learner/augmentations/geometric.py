"""Augmentations that move pixels: mirroring, cropping and rotation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Le, Predicate

from raycal.learner.augmentations.protocol import Draws, augmentations

if TYPE_CHECKING:
    from torch import Tensor

Probability = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0)]
# The number of random crops that are tried. If none of them fits into the image, the largest crop in the middle is
# taken.
_ATTEMPTS = 10


def ascending(values: tuple[float, float]) -> bool:
    """Whether the first value is not above the second one. The name of this function is part of an error message."""
    return values[0] <= values[1]


@augmentations("flip")
@dataclass(frozen=True, kw_only=True)
class Flip:
    """Mirrors images left to right, like torchvision's `RandomHorizontalFlip`."""

    p: Probability = 0.5
    draws: ClassVar[int] = 1

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        return _flipped(images, draws[:, 0] < self.p, 3)


@augmentations("vertical_flip")
@dataclass(frozen=True, kw_only=True)
class VerticalFlip:
    """Mirrors images top to bottom, like torchvision's `RandomVerticalFlip`."""

    p: Probability = 0.5
    draws: ClassVar[int] = 1

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        return _flipped(images, draws[:, 0] < self.p, 2)


@augmentations("crop")
@dataclass(frozen=True, kw_only=True)
class Crop:
    """Moves images in a random direction, like torchvision's `RandomCrop` of images with a padding.

    The `padding` is a share of the side: 0.125 stands for 4 pixels of 32.
    """

    padding: Annotated[float, Gt(0), Le(0.5)] = 0.125
    padding_mode: Literal["constant", "edge", "reflect"] = "constant"
    draws: ClassVar[int] = 2

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        from raycal.learner.image_operations import moved

        paddings = [round(self.padding * side) for side in images.shape[2:]]
        down, right = (
            np.floor(draws[:, axis] * (2 * padding + 1)).astype(np.int64) - padding
            for axis, padding in enumerate(paddings)
        )
        return moved(images, down, right, self.padding_mode)


@augmentations("resized_crop")
@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """Enlarges a random part of each image to the size of the image, like torchvision's `RandomResizedCrop`.

    The part has a share of the image's area in the range `scale`, and a width that is `ratio` times its height.
    """

    scale: Annotated[tuple[Probability, Probability], Predicate(ascending)] = (0.08, 1.0)
    ratio: Annotated[tuple[Positive, Positive], Predicate(ascending)] = (3 / 4, 4 / 3)
    draws: ClassVar[int] = 2 * _ATTEMPTS + 2

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        from raycal.learner.image_operations import enlarged

        side = images.shape[2:]
        heights, widths = self._sizes(draws[:, :-2], *side)
        tops, lefts = (
            np.floor(draws[:, axis] * (side[axis] - part + 1)) for axis, part in ((-2, heights), (-1, widths))
        )
        return enlarged(images, np.stack([tops, lefts, heights, widths], axis=1))

    def _sizes(self, draws: Draws, height: int, width: int) -> tuple[Draws, Draws]:
        """The height and the width of each part: those of the first attempt that fits into the image, or those of the
        largest part that fits and has an accepted ratio."""
        areas = height * width * _between(draws[:, :_ATTEMPTS], *self.scale)
        ratios = np.exp(_between(draws[:, _ATTEMPTS:], *np.log(self.ratio)))
        heights, widths = np.round(np.sqrt(areas / ratios)), np.round(np.sqrt(areas * ratios))
        fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
        first, rows = fits.argmax(axis=1), np.arange(len(draws))
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        largest = max(1, min(height, round(width / ratio))), max(1, min(width, round(height * ratio)))
        return (
            np.where(fits.any(axis=1), heights[rows, first], largest[0]),
            np.where(fits.any(axis=1), widths[rows, first], largest[1]),
        )


@augmentations("rotation")
@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Rotates images by up to `degrees` in either direction, like torchvision's `RandomRotation`. The corners that the
    rotated image does not cover are black.
    """

    degrees: Annotated[float, Gt(0), Le(180)] = 15.0
    draws: ClassVar[int] = 1

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        from raycal.learner.image_operations import rotated

        return rotated(images, _between(draws[:, 0], -self.degrees, self.degrees))


def _between(draws: Draws, low: float, high: float) -> Draws:
    """Random numbers from `low` to `high`."""
    return low + (high - low) * draws


def _flipped(images: "Tensor", chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]", axis: int) -> "Tensor":
    """The images, of which the chosen ones are mirrored along an axis."""
    import torch

    where = torch.from_numpy(chosen).to(images.device, non_blocking=True)
    return torch.where(where.view(-1, 1, 1, 1), images.flip(axis), images)
