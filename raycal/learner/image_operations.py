"""Operations on a batch of images in which each image has its own parameters, as augmentations need.

The operations compute the same as the functions of `torchvision.transforms.v2.functional`, which only accept the same
parameters for all images of a batch. Every function maps images (B, 3, H, W) of type uint8 to images of the same shape
and type. The result for an image does not depend on the other images of the batch, to the last bit.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def moved(
    images: Tensor, down: Whole, right: Whole, padding_mode: Literal["constant", "edge", "reflect"] = "constant"
) -> Tensor:
    """The images, moved by whole pixels.

    Args:
        down: (B,) The number of pixels by which each image is moved down; at most its height.
        right: (B,) The number of pixels by which each image is moved to the right; at most its width.
        padding_mode: How the pixels that the image no longer covers are filled: with black (`constant`), with the
            nearest pixel of the image (`edge`), or with the image mirrored at its edge (`reflect`).
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - _to(images, down).view(-1, 1)
    columns = torch.arange(width, device=images.device) - _to(images, right).view(-1, 1)
    if padding_mode == "reflect":
        rows, columns = _reflected(rows, height), _reflected(columns, width)
    return _gathered(images, rows[:, :, None], columns[:, None, :], black_outside=padding_mode == "constant")


def enlarged(images: Tensor, boxes: Values) -> Tensor:
    """Parts of images, enlarged to the size of the image by bilinear interpolation.

    Args:
        boxes: (B, 4) The top, left, height and width of the part of each image, in pixels.
    """
    top, left, box_height, box_width = _to(images, boxes).float().view(-1, 4, 1).unbind(1)
    places = []
    for begin, part, side in ((top, box_height, images.shape[2]), (left, box_width, images.shape[3])):
        steps = torch.arange(side, device=images.device) + 0.5
        inside = (steps * (part / side) - 0.5).clamp(min=0.0)
        places.append(begin + torch.minimum(inside, part - 1))
    shape = (len(images), *images.shape[2:])
    return _interpolated(images, places[0][:, :, None].expand(shape), places[1][:, None, :].expand(shape))


def rotated(images: Tensor, degrees: Values) -> Tensor:
    """Images that are rotated counterclockwise about their center.

    Args:
        degrees: (B,) The angle of each image.
    """
    angles = np.radians(degrees)
    cos, sin = np.cos(angles), np.sin(angles)
    return _mapped(images, (cos, -sin, 0 * cos), (sin, cos, 0 * cos))


def sheared(images: Tensor, slopes: Values, *, along_x: bool) -> Tensor:
    """The images, sheared: each row (or column) is moved in proportion to its distance from the first row (or column).

    Args:
        slopes: (B,) How much farther each row or column is moved than the one before it, in pixels.
        along_x: Whether the rows are moved. Otherwise the columns are moved.
    """
    height, width = images.shape[2:]
    one, zero = np.ones_like(slopes), np.zeros_like(slopes)
    if along_x:
        return _mapped(images, (one, slopes, slopes * height / 2), (zero, one, zero))
    return _mapped(images, (one, zero, zero), (slopes, one, slopes * width / 2))


def brightened(images: Tensor, factors: Values) -> Tensor:
    """Images whose pixels are multiplied by a factor for each image."""
    return _blended(images, torch.zeros((), device=images.device), factors)


def saturated(images: Tensor, factors: Values) -> Tensor:
    """Images whose differences from gray are multiplied by a factor for each image."""
    return _blended(images, _gray(images), factors)


def contrasted(images: Tensor, factors: Values) -> Tensor:
    """Images whose differences from their mean gray are multiplied by a factor for each image."""
    # A sum of integers does not depend on the order of the summands, but a sum of floats does.
    total = _gray(images).to(torch.int64).sum((1, 2, 3), keepdim=True)
    return _blended(images, (total.double() / (images.shape[2] * images.shape[3])).float(), factors)


def sharpened(images: Tensor, factors: Values) -> Tensor:
    """Images whose differences from a blurred copy are multiplied by a factor for each image; edges stay the same."""
    height, width = images.shape[2:]
    if height <= 2 or width <= 2:
        return images
    whole = images.to(torch.int32)
    # In the blurred copy, each pixel has the weight five, and each of its eight neighbors the weight one.
    total = 4 * whole[:, :, 1:-1, 1:-1]
    for row in range(3):
        for column in range(3):
            total = total + whole[:, :, row : height - 2 + row, column : width - 2 + column]
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = _blended(images[:, :, 1:-1, 1:-1], (total / 13).round(), factors)
    return result


def posterized(images: Tensor, bits: Whole) -> Tensor:
    """Images in whose pixel values only the highest bits are kept.

    Args:
        bits: (B,) The number of bits of each image, from 0 to 8.
    """
    return images & _to(images, 256 - 2 ** (8 - bits)).to(torch.uint8).view(-1, 1, 1, 1)


def solarized(images: Tensor, thresholds: Values) -> Tensor:
    """Images in which each pixel value that is not below a threshold is inverted.

    Args:
        thresholds: (B,) The threshold of each image, from 0 to 255.
    """
    return torch.where(images >= _per_image(images, thresholds), 255 - images, images)


def _to(images: Tensor, values: npt.NDArray[Any]) -> Tensor:
    """The values on the device of the images."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(images.device, non_blocking=True)


def _per_image(images: Tensor, values: Values) -> Tensor:
    """Values (B, 1, 1, 1) in float32 on the device of the images."""
    return _to(images, values.astype(np.float32)).view(-1, 1, 1, 1)


def _blended(images: Tensor, others: Tensor, factors: Values) -> Tensor:
    """The images times `factors` plus the other images times `1 - factors`, cut to whole numbers from 0 to 255."""
    share = _per_image(images, factors)
    return (images * share + others * (1 - share)).clamp(0, 255).to(torch.uint8)


def _gray(images: Tensor) -> Tensor:
    """Whole numbers (B, 1, H, W) in float32: the images as gray images."""
    red, green, blue = images.unsqueeze(2).unbind(1)
    return (red * 0.2989 + green * 0.587 + blue * 0.114).floor()


def _mapped(images: Tensor, to_x: tuple[Values, Values, Values], to_y: tuple[Values, Values, Values]) -> Tensor:
    """Images in which each pixel is copied from the original pixel nearest to a given place. Places outside of the
    original are black.

    Args:
        to_x: For each image, the factors of x, y and 1 whose sum is the x of the place. Coordinates are in pixels from
            the center of the image.
        to_y: The same three factors for the y of the place.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) + 0.5 - width / 2
    y = (torch.arange(height, device=images.device) + 0.5 - height / 2).view(-1, 1)
    places = []
    for factors, side in ((to_y, height), (to_x, width)):
        of_x, of_y, shift = _to(images, np.stack(factors).astype(np.float32)).view(3, -1, 1, 1)
        places.append((of_x * x + of_y * y + shift + (side / 2 - 0.5)).round().to(torch.int64))
    return _gathered(images, *places, black_outside=True)


def _reflected(places: Tensor, side: int) -> Tensor:
    """Places up to one side beyond the image, mirrored at its first and its last pixel."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def _gathered(images: Tensor, rows: Tensor, columns: Tensor, *, black_outside: bool) -> Tensor:
    """The pixels of images at the given rows and columns, which can be broadcast to (B, H, W).

    Args:
        black_outside: Whether a place outside of an image is black. Otherwise the place has the color of the nearest
            pixel of the image.
    """
    height, width = images.shape[2:]
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    inside_rows, inside_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    pixels = images.permute(0, 2, 3, 1)[image, inside_rows, inside_columns]
    if black_outside:
        is_inside = (inside_rows == rows) & (inside_columns == columns)
        pixels = pixels * is_inside.unsqueeze(-1)
    return pixels.permute(0, 3, 1, 2)


def _interpolated(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images interpolated at the places (B, H, W) given by rows and columns, which are all inside of the images."""
    height, width = images.shape[2:]
    grid = torch.stack([2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], dim=-1)
    pixels = functional.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return pixels.round().to(torch.uint8).contiguous(memory_format=torch.channels_last)
