"""Image files -> one uint8 array, in parallel, with bounded memory, through the cache.

Stored size: S x S, where S is `size` if given; else the common side if all images are square, of equal size and not
larger than `image_size`; else `image_size`. An image that is not S x S is resized so that its shorter side is S
(bilinear, antialiased) and cropped at the centre, as torchvision's Resize and CenterCrop do.

Mode: RGB as torchvision's loader converts it (transparency dropped, the first frame of an animation, no rotation by
EXIF), except that 16-bit gray is scaled to 8 bit instead of being clipped.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from raycal.data.cache import array_file, cached_arrays
from raycal.data.content import Digests, content_digest, file_digests, file_stamps
from raycal.data.image_dataset import Images
from raycal.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MAX_MEGAPIXELS = 16
MAX_PIXELS = MAX_MEGAPIXELS * 2**20
CHUNK_BYTES, CHUNK_IMAGES = 64 * 2**20, 1024
NUM_NAMED = 5
NUM_THREADS = os.cpu_count() or 1

# One decoded image (H, W, 3) uint8, or why there is none.
Decoded = Images | str


class DecodedFiles(NamedTuple):
    """Decoded image files.

    Attributes:
        images: (S, H, W, 3) uint8, memory-mapped.
        digests: (S, 16) uint8, of what each file holds.
        content: One digest of all names and of what the files hold.
    """

    images: Images
    digests: Digests
    content: str


def decoded_images(
    root: Path, files: Sequence[str], *, size: int | None, image_size: int, content: str | None = None
) -> DecodedFiles:
    """Decode files relative to `root`, or find them in the cache, by their names and by what they hold.

    Args:
        content: The digest that an earlier call returned for these files. Where the cache has them the files are then
            not read. Without it every file is read, to find out what it holds.

    Raises:
        InputError: Images that cannot be used, all in one line; or the files hold something else than `content` says.
    """
    import PIL

    if content is None:
        content = content_digest(files, file_digests(root, files))
    key = {
        "files": list(files),
        "content": content,
        "size": size,
        "image_size": image_size if size is None else None,
        "pillow": PIL.__version__,
    }
    write = partial(_write_images, root=root, files=files, size=size, image_size=image_size, content=content)
    arrays = cached_arrays(key, write)
    return DecodedFiles(arrays["images"], arrays["digests"], content)


def _write_images(
    folder: Path, *, root: Path, files: Sequence[str], size: int | None, image_size: int, content: str
) -> None:
    from PIL import Image

    before, digests = file_stamps(root, files), file_digests(root, files)
    if content_digest(files, digests) != content:
        raise InputError(f"{root}: the files here are not those that the sweep was started with; make them the same")
    Image.init()  # not safe in several threads at once
    begin = perf_counter()
    refused: list[str] = []
    with ThreadPoolExecutor(NUM_THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused here, at a lower limit
        side = size or _common_side(pool, [root / file for file in files], image_size)
        with array_file(folder / "images.npy", (len(files), side, side, 3), np.uint8) as out:
            for file, decoded in _decode_all(pool, root, files, side):
                if isinstance(decoded, str):
                    refused.append(f"{file} ({decoded})")
                else:
                    out.write(decoded.tobytes())
    if file_stamps(root, files) != before:
        raise InputError(f"{root}: files changed while they were decoded; start again when nothing writes there")
    if refused:
        raise InputError(_refusal(root, refused, len(files)))
    np.save(folder / "digests.npy", digests)
    logger.info("decoded %d images to %d x %d (%.1f s)", len(files), side, side, perf_counter() - begin)


def _refusal(root: Path, refused: Sequence[str], num_files: int) -> str:
    more = f"; and {len(refused) - NUM_NAMED} more" if len(refused) > NUM_NAMED else ""
    named = "; ".join(refused[:NUM_NAMED])
    return f"{root}: {len(refused)} of {num_files} images cannot be used: {named}{more}; replace or remove them"


def _decode_all(pool: ThreadPoolExecutor, root: Path, files: Sequence[str], side: int) -> Iterator[tuple[str, Decoded]]:
    """Every file with its image, in order; a chunk at a time, so that few images are in memory."""
    chunk = max(NUM_THREADS, min(CHUNK_IMAGES, CHUNK_BYTES // (side * side * 3)))
    for begin in range(0, len(files), chunk):
        names = files[begin : begin + chunk]
        yield from zip(names, pool.map(partial(decode_image, side=side), (root / name for name in names)), strict=True)


def decode_image(path: Path, *, side: int) -> Decoded:
    """The image as it is stored: (side, side, 3) uint8; or, as a text, why it cannot be used."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} pixels, more than {MAX_MEGAPIXELS} Mpx"
            return np.asarray(_square(_rgb(image), side))
    except Exception as error:  # what decoders raise on broken files has no common base
        return _reason(error)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    match error:
        case UnidentifiedImageError():
            return f"not an image in {', '.join(FORMATS)}"
        case Image.DecompressionBombError():
            return f"more than {MAX_MEGAPIXELS} Mpx"
        case OSError(strerror=str(reason)):
            return reason
        case _:
            return " ".join(str(error).split()) or type(error).__name__


def _common_side(pool: ThreadPoolExecutor, paths: Sequence[Path], image_size: int) -> int:
    """The side S of the stored images when the user gave none; files that cannot be opened have no say."""
    sizes = {size for size in pool.map(_header_size, paths) if size is not None}
    if len(sizes) == 1:
        ((width, height),) = sizes
        if width == height <= image_size:
            return width
    return image_size


def _header_size(path: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception:  # told when the file is decoded
        return None


def _rgb(image: "Image") -> "Image":
    from PIL import Image

    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image.convert("RGB")
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("gray values beyond 16 bit have no known range")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")


def _square(image: "Image", side: int) -> "Image":
    """Shorter side to `side`, then the centre; roundings as in torchvision's Resize and CenterCrop."""
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
