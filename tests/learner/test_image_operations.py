"""Tests that changes of a batch, with parameters for each image, are those that torchvision makes of one image."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from raycal.learner import image_operations as operations

SIZES = [(32, 32), (24, 40)]
# Results that are next to a whole number may be cut to the one or the other.
ROUNDING = {"share": 0.02, "at_most": 1}
FACTORS = np.array([0.01, 0.5, 1.0, 1.3, 1.99])


def images(height: int, width: int, number: int = 5) -> Tensor:
    """Smooth images with noise, stored with the channels last."""
    rng = np.random.default_rng(3)
    waves = np.sin(np.arange(height)[:, None, None] / 5 + np.arange(width)[:, None] / 7 + np.arange(3))
    pixels = 128 + 100 * waves + rng.normal(0, 20, size=(number, height, width, 3))
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)


def assert_same(actual: Tensor, expected: Tensor, *, share: float = 0.0, at_most: int = 255) -> None:
    """At most a share of the pixels differ, and none by more than `at_most`."""
    assert (actual.dtype, actual.shape) == (torch.uint8, expected.shape)
    assert actual.is_contiguous(memory_format=torch.channels_last)
    differences = (actual.int() - expected.int()).abs()
    assert (differences > 0).float().mean() <= share
    assert differences.max() <= at_most


Change = Callable[[Tensor, Any], Tensor]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("change", "of_torchvision", "parameters", "limits"),
    [
        (operations.brightened, functional.adjust_brightness, FACTORS, ROUNDING),
        (operations.saturated, functional.adjust_saturation, FACTORS, ROUNDING),
        (operations.contrasted, functional.adjust_contrast, FACTORS, ROUNDING),
        (operations.sharpened, functional.adjust_sharpness, FACTORS, ROUNDING),
        (operations.posterized, functional.posterize, np.array([8, 4, 2, 3, 5]), {}),
        (operations.solarized, functional.solarize, np.array([255.0, 0.0, 127.5, 60.0, 200.0]), {}),
        # A place half-way between two pixels may be rounded to either.
        (operations.rotated, functional.rotate, np.array([0.0, 30.0, -135.0, 90.5, 7.0]), {"share": 0.02}),
    ],
    ids=["brightness", "saturation", "contrast", "sharpness", "posterize", "solarize", "rotate"],
)
def test_change_is_that_of_torchvision(
    change: Change, of_torchvision: Change, parameters: Any, limits: Any, size: tuple[int, int]
) -> None:
    batch = images(*size)
    expected = torch.stack([of_torchvision(one, value.item()) for one, value in zip(batch, parameters, strict=True)])

    assert_same(change(batch, parameters), expected, **limits)
    assert not torch.equal(change(batch, parameters), batch)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("along_x", [True, False])
def test_shear_is_that_of_torchvision(size: tuple[int, int], along_x: bool) -> None:
    batch, slopes = images(*size), np.array([0.0, 0.3, -0.3, 0.99, -0.77])

    def sheared(image: Tensor, slope: float) -> Tensor:
        angle = math.degrees(math.atan(slope))
        shear = [angle, 0.0] if along_x else [0.0, angle]
        return functional.affine(image, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0])

    expected = torch.stack([sheared(one, slope.item()) for one, slope in zip(batch, slopes, strict=True)])

    assert_same(operations.sheared(batch, slopes, along_x=along_x), expected, share=0.02)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_moved_image_is_the_crop_of_a_padded_one(size: tuple[int, int], mode: Any) -> None:
    batch, down, right = images(*size), np.array([0, 4, -4, 12, -12]), np.array([0, -4, 4, 9, 12])
    padded = functional.pad(batch, [12, 12, 12, 12], padding_mode=mode)
    expected = torch.stack(
        [functional.crop(one, int(12 - y), int(12 - x), *size) for one, y, x in zip(padded, down, right, strict=True)]
    )

    assert_same(operations.moved(batch, down, right, mode), expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_enlarged_part_is_the_resized_crop_of_torchvision(size: tuple[int, int]) -> None:
    batch = images(*size)
    boxes = np.array([[0, 0, *size], [3, 5, 10, 12], [0, 0, 1, 1], [size[0] - 7, size[1] - 9, 7, 9], [1, 2, 20, 5]])
    expected = torch.stack(
        [functional.resized_crop(one, *map(int, box), size=list(size)) for one, box in zip(batch, boxes, strict=True)]
    )

    assert_same(operations.enlarged(batch, boxes.astype(float)), expected, share=0.2, at_most=1)
    assert torch.equal(operations.enlarged(batch, boxes.astype(float))[0], batch[0])
