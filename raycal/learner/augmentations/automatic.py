"""Augmentations that choose among many changes: TrivialAugment and RandAugment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from raycal.learner.augmentations.protocol import Draws, augmentations

if TYPE_CHECKING:
    from torch import Tensor

NUM_BINS = 31  # the number of strengths, from none to the strongest, as in torchvision

Range = tuple[float, float] | None

# The changes, and the range of their strength in TrivialAugment. None means that a change has no strength.
_RANGES: Mapping[str, Range] = {
    "identity": None,
    "shear_x": (0.0, 0.99),
    "shear_y": (0.0, 0.99),
    "translate_x": (0.0, 32.0),
    "translate_y": (0.0, 32.0),
    "rotate": (0.0, 135.0),
    "brightness": (0.0, 0.99),
    "color": (0.0, 0.99),
    "contrast": (0.0, 0.99),
    "sharpness": (0.0, 0.99),
    "posterize": (8.0, 2.0),
    "solarize": (255.0, 0.0),
    "autocontrast": None,
    "equalize": None,
}
# The changes whose ranges in RandAugment differ from those in TrivialAugment. The ranges of translations are not
# listed, because they depend on the size of the image.
_MILDER: Mapping[str, Range] = {
    "shear_x": (0.0, 0.3),
    "shear_y": (0.0, 0.3),
    "rotate": (0.0, 30.0),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0.0, 0.9)),
    "posterize": (8.0, 4.0),
}
_CHANGES = tuple(_RANGES)
# Changes whose strength has a random sign.
_SIGNED = {
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "color", "contrast", "sharpness"),
}


@augmentations("trivial_augment")
@dataclass(frozen=True, kw_only=True)
class TrivialAugment:
    """Makes one random change of random strength, like torchvision's `TrivialAugmentWide` (Müller & Hutter 2021)."""

    draws: ClassVar[int] = 3

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        bins = np.floor(draws[:, 1] * NUM_BINS)
        return _changed(images, _choice(draws[:, 0]), bins, draws[:, 2] <= 0.5, _RANGES)


@augmentations("rand_augment")
@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """Makes `num_ops` random changes, all of the same strength, like torchvision's `RandAugment` (Cubuk et al. 2020).

    The `magnitude` is the strength, from 0 to 30.
    """

    num_ops: Annotated[int, Ge(1), Le(len(_CHANGES))] = 2
    magnitude: Annotated[int, Ge(0), Le(NUM_BINS - 1)] = 9

    @property
    def draws(self) -> int:
        """The number of random numbers that an image needs: two for each change."""
        return 2 * self.num_ops

    def __call__(self, images: "Tensor", draws: Draws) -> "Tensor":
        bins = np.full(len(draws), float(self.magnitude))
        height, width = (150 / 331 * side for side in images.shape[2:])
        ranges = {**_RANGES, **_MILDER, "translate_x": (0.0, width), "translate_y": (0.0, height)}
        for number in range(self.num_ops):
            chosen = draws[:, 2 * number : 2 * number + 2]
            images = _changed(images, _choice(chosen[:, 0]), bins, chosen[:, 1] <= 0.5, ranges)
        return images


def _choice(draws: Draws) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The number of the change for each image."""
    return np.floor(draws * len(_CHANGES)).astype(np.int64)


def _changed(
    images: "Tensor",
    choice: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    bins: Draws,
    negative: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    ranges: Mapping[str, Range],
) -> "Tensor":
    """The images after one change each. Images with the same change are changed together.

    Args:
        choice: (B,) The number of each image's change.
        bins: (B,) The strength of the change, from 0 to `NUM_BINS - 1`.
        negative: (B,) Whether the strength has a negative sign, if the change has one.
        ranges: The range of the strength of each change.
    """
    import torch

    result = images.clone()
    for number in np.unique(choice):
        name, rows = _CHANGES[number], np.flatnonzero(choice == number)
        if name == "identity":
            continue
        low, high = ranges[name] or (0.0, 0.0)
        strengths = low + (high - low) * bins[rows] / (NUM_BINS - 1)
        if name in _SIGNED:
            strengths = np.where(negative[rows], -strengths, strengths)
        where = torch.from_numpy(rows).to(images.device, non_blocking=True)
        result[where] = _change(name, images[where], strengths)
    return result


def _change(name: str, images: "Tensor", strengths: Draws) -> "Tensor":
    """The images after a change, whose strength is given for each image."""
    from torchvision.transforms.v2 import functional

    from raycal.learner import image_operations as operations

    match name:
        case "shear_x" | "shear_y":
            return operations.sheared(images, strengths, along_x=name == "shear_x")
        case "translate_x" | "translate_y":
            by = strengths.astype(np.int64)
            return operations.moved(images, *((0 * by, by) if name == "translate_x" else (by, 0 * by)))
        case "rotate":
            return operations.rotated(images, strengths)
        case "brightness":
            return operations.brightened(images, 1 + strengths)
        case "color":
            return operations.saturated(images, 1 + strengths)
        case "contrast":
            return operations.contrasted(images, 1 + strengths)
        case "sharpness":
            return operations.sharpened(images, 1 + strengths)
        case "posterize":
            return operations.posterized(images, np.round(strengths).astype(np.int64))
        case "solarize":
            return operations.solarized(images, strengths)
        case "autocontrast":
            result: Tensor = functional.autocontrast(images)
        case _:
            result = functional.equalize(images)
    return result
