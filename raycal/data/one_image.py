"""Decodes one image with Pillow, with bounded memory, to what a network or a person sees.

The shape: an image that is not square is resized so that its shorter side has the wanted length (bilinear, antialiased)
and then cropped at the center, as in torchvision's Resize and CenterCrop.

The mode: images are converted to RGB as torchvision's loader does (transparency is dropped, the first frame of an
animation is used, the EXIF rotation is ignored), with two exceptions. Gray of 12 and 16 bits is scaled to 8 bits
instead of being clipped, and it is inverted if a TIFF declares that zero is white.

An image of more than 16 megapixels, such as a photo from a recent camera, is decoded at a half, a quarter or an eighth
of its size before it is resized. Only one such image is decoded at a time, so that memory stays bounded.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import ceil
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from raycal.data.loaded import Images
from raycal.data.places import InMemory

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_MEGAPIXELS = 16
MAX_PIXELS = MAX_MEGAPIXELS * 2**20
# The largest images that are decoded at a fraction of their size. A baseline JPEG is reduced while it is decoded. Any
# other image is first decoded as a whole, with up to four bytes a pixel.
LARGEST_MEGAPIXELS = {"baseline JPEG": 256, "progressive JPEG": 100, "other": 64}
FRACTIONS = (8, 4, 2)
# Two TIFF tags, and the value of `PHOTOMETRIC` that means that zero is white.
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0
ORIENTATION = 274  # the EXIF tag that says how an image is turned

# One decoded image (H, W, 3) uint8, or the reason why there is none.
Decoded = Images | str
_large_image = Lock()


class _Limit:
    """Pillow's limit of pixels before it was raised, and the number of blocks that need it raised."""

    lock = Lock()
    num_blocks = 0
    before: int | None = None


_limit = _Limit()


class Unreadable(str):
    """The reason why a file could not be read. The file may be intact, because another attempt may succeed."""


@contextmanager
def large_images_may_be_opened() -> Iterator[None]:
    """Let Pillow open images of any size; this module checks their size before it decodes them.

    Pillow's own limit applies to the whole process. Several threads may be in such a block at the same time, so the
    limit is restored when the last block has ended.
    """
    from PIL import Image

    with _limit.lock:
        if not _limit.num_blocks:
            _limit.before = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = None
        _limit.num_blocks += 1
    try:
        yield
    finally:
        with _limit.lock:
            _limit.num_blocks -= 1
            if not _limit.num_blocks:
                Image.MAX_IMAGE_PIXELS = _limit.before


def decode_image(path: Path | InMemory, *, side: int) -> Decoded:
    """The image as it is stored, (side, side, 3) uint8, or the reason why it cannot be used, as text."""
    from PIL import Image

    try:
        with Image.open(_source(path), formats=FORMATS) as image:
            if image.width * image.height <= MAX_PIXELS:
                return np.asarray(_square(_rgb(image), side))
            if (problem := _too_large(image)) is not None:
                return problem
            with _large_image:
                return np.asarray(_square(_reduced(image, min(image.size), side), side))
    except Exception as error:  # the errors that decoders raise on broken files have no common base
        return _reason(error)


def whole_image(file: BinaryIO, *, side: int) -> "Image | str":
    """The whole image in RGB as a person should see it, or the reason why it cannot be used.

    The image is turned as its EXIF orientation says. If its longer side exceeds `side`, the image is reduced to that
    length. The result has none of the file's metadata.

    Args:
        file: The open file of the image.
        side: The largest length of the longer side, in pixels.
    """
    from PIL import Image
    from PIL.Image import Resampling

    try:
        with Image.open(file, formats=FORMATS) as image:
            if (problem := _too_large(image)) is not None:
                return problem
            with _large_image if image.width * image.height > MAX_PIXELS else nullcontext():
                # The longer side of the reduced image is not below `side`.
                seen = _reduced(image, max(image.size), ceil(side / 2))
            orientation = _orientation(image)  # Pillow turns a TIFF when it reads the pixels, and then removes the tag
            longer = max(seen.size)
            if longer > side:
                width, height = (max(1, round(length * side / longer)) for length in seen.size)
                seen = seen.resize((width, height), Resampling.BILINEAR)
            turned = seen if orientation is None else seen.transpose(orientation)
            return Image.frombytes("RGB", turned.size, turned.tobytes())
    except Exception as error:  # the errors that decoders raise on broken files have no common base
        return _reason(error)


def header_problem(path: Path | InMemory) -> str | None:
    """The reason why an image cannot be used, as far as the first bytes of its file show it."""
    from PIL import Image

    try:
        with Image.open(_source(path), formats=FORMATS) as image:
            return _too_large(image)
    except Exception as error:  # the errors that decoders raise on broken files have no common base
        return _reason(error)


def header_size(path: Path | InMemory) -> tuple[int, int] | None:
    """The width and the height of an image, from the first bytes of its file. None if they cannot be read."""
    from PIL import Image

    try:
        with Image.open(_source(path), formats=FORMATS) as image:
            return image.size
    except Exception:  # the error is reported when the file is decoded
        return None


def _source(path: Path | InMemory) -> Path | BinaryIO:
    """The path or open file that Pillow opens to read an image."""
    return path.open() if isinstance(path, InMemory) else path


def _too_large(image: "Image") -> str | None:
    """The reason why an image has too many pixels to be decoded; None if it can be decoded."""
    num_pixels, largest = image.width * image.height, max(LARGEST_MEGAPIXELS.values())
    if num_pixels > largest * 2**20:
        return f"more than {largest} Mpx"
    limit = LARGEST_MEGAPIXELS[_kind(image)]
    return f"{image.width} x {image.height} pixels, more than {limit} Mpx" if num_pixels > limit * 2**20 else None


def _kind(image: "Image") -> str:
    """The kind of a large image, a key of `LARGEST_MEGAPIXELS`."""
    if image.format != "JPEG":
        return "other"
    return "progressive JPEG" if image.info.get("progressive") else "baseline JPEG"


def _orientation(image: "Image") -> "Transpose | None":
    """The way to turn an image that its EXIF data asks for; None if the image is upright or the data are damaged."""
    from PIL.Image import Transpose

    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # the errors that damaged EXIF data raise have no common base
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(value)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    match error:
        case UnidentifiedImageError():
            return f"not an image in {', '.join(FORMATS)}"
        case Image.DecompressionBombError():
            return f"more than {max(LARGEST_MEGAPIXELS.values())} Mpx"
        case OSError(strerror=str(reason)):
            return Unreadable(reason)
        case _:
            return " ".join(str(error).split()) or type(error).__name__


def _rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image.convert("RGB")
    values = np.asarray(image).astype(np.int64)
    bits, is_inverted = _gray(image)
    white = 2**bits - 1
    if values.min() < 0 or values.max() > white:
        raise ValueError(f"gray values beyond {bits} bit have no known range")
    if is_inverted:
        values = white - values
    return Image.fromarray(((values * 255 + white // 2) // white).astype(np.uint8)).convert("RGB")


def _gray(image: "Image") -> tuple[int, bool]:
    """The number of bits of a gray value, and whether 0 is white."""
    if image.format != "TIFF":
        return 16, False
    tags: Any = image.tag_v2  # type: ignore[attr-defined]  # only a TIFF image has it
    bits = tags.get(BITS_PER_SAMPLE, (16,))
    count = bits[0] if isinstance(bits, tuple) else int(bits)
    return count if 8 < count < 16 else 16, tags.get(PHOTOMETRIC) == WHITE_IS_ZERO


def _reduced(image: "Image", length: int, side: int) -> "Image":
    """The image in RGB, reduced by the largest factor that leaves `length` at least twice as long as `side`.

    Args:
        length: The length of the side of the image that counts, in pixels.
    """
    factor = next((one for one in FRACTIONS if length >= 2 * side * one), 1)
    if factor == 1:
        return _rgb(image)
    if image.format == "JPEG":
        wanted = image.width // factor, image.height // factor
        image.draft("RGB", wanted)
        return _rgb(image)
    # If the mode allows it, the image is reduced before its conversion, so that no second full-size copy is made.
    return _rgb(image.reduce(factor)) if image.mode in ("L", "RGB", "RGBA", "CMYK") else _rgb(image).reduce(factor)


def _square(image: "Image", side: int) -> "Image":
    """Resize the shorter side to `side`, then crop the center; both round as torchvision's Resize and CenterCrop do."""
    from PIL.Image import Resampling

    if image.size == (side, side):
        return image
    shorter = min(image.size)
    width, height = (side if length == shorter else int(side * length / shorter) for length in image.size)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, too narrow to be resized to {side} pixels")
    resized = image if image.size == (width, height) else image.resize((width, height), Resampling.BILINEAR)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return resized.crop((left, top, left + side, top + side))
