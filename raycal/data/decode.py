"""Decodes image files into one uint8 array, in parallel, with bounded memory, and through the cache.

The stored size: images are stored as S x S pixels. S is `size` if `size` is set. Otherwise, S is the common side if all
images are square, of equal size and not larger than `image_size`. In all other cases, S is `image_size`. An image that
is not S x S is resized so that its shorter side is S (bilinear, antialiased) and then cropped at the center, as in
torchvision's Resize and CenterCrop.

The mode: images are converted to RGB as torchvision's loader does (transparency is dropped, the first frame of an
animation is used, the EXIF rotation is ignored), with two exceptions. Gray of 12 and 16 bits is scaled to 8 bits
instead of being clipped, and it is inverted if a TIFF declares that zero is white.

An image of more than 16 megapixels, such as a photo from a recent camera, is decoded at a half, a quarter or an eighth
of its size before it is resized. Only one such image is decoded at a time, so that memory stays bounded.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from math import ceil
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np

from raycal.data.cache import array_file, cached_arrays
from raycal.data.content import Digests, content_digest, file_digests, file_stamps
from raycal.data.loaded import Images
from raycal.data.places import InMemory, Place
from raycal.errors import InputError, first_of

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

logger = logging.getLogger(__name__)

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
CHUNK_BYTES, CHUNK_IMAGES = 64 * 2**20, 1024
NUM_NAMED = 5
NUM_THREADS = os.cpu_count() or 1

# One decoded image (H, W, 3) uint8, or the reason why there is none.
Decoded = Images | str
OnError = Literal["refuse", "skip"]
# A function that is called after every few hundred files, with the number of decoded files and the number of all files.
Progress = Callable[[int, int], object]
PROGRESS_IMAGES = 500
_large_image = Lock()


class _Limit:
    """Pillow's limit of pixels before it was raised, and the number of blocks that need it raised."""

    lock = Lock()
    num_blocks = 0
    before: int | None = None


_limit = _Limit()


def ignore_progress(done: int, total: int) -> None:
    """A `Progress` function that does nothing."""


class Unreadable(str):
    """The reason why a file could not be read. The file may be intact, because another attempt may succeed."""


class DecodedFiles(NamedTuple):
    """Decoded image files.

    Attributes:
        images: (S, H, W, 3) uint8, memory-mapped.
        digests: (S, 16) uint8, the digest of each file's content.
        content: One digest of the names and the content of all files.
        broken: The reason why a file could not be decoded, by its row in `images`, which is all zero.
    """

    images: Images
    digests: Digests
    content: str
    broken: Mapping[int, str]


def decoded_images(
    root: Place,
    files: Sequence[str],
    *,
    size: int | None,
    image_size: int,
    content: str | None = None,
    on_error: OnError = "refuse",
    none_needed: bool = False,
    progress: Progress = ignore_progress,
) -> DecodedFiles:
    """Decode files, or look their images up in the cache by the names and the content of the files.

    Args:
        root: The folder, or another place, that `files` are relative to.
        size: The side of the stored images, in pixels. None means the side that the docstring of this module describes.
        image_size: The side, in pixels, of the images that the network sees.
        content: The digest that an earlier call returned for these files. If the cache has images under this digest,
            the files are not read. Without this digest every file is read, to compute the digest.
        on_error: What happens to broken images: `refuse` raises an error, and `skip` lists them in the result. A file
            that cannot be read because a disk or a network fails is always refused.
        none_needed: Whether it is no error if all images are broken and broken images are skipped.
        progress: Called while files are decoded.

    Raises:
        InputError: Some images cannot be used (one line names the first of them), no image can be used, or the content
            of the files differs from `content`.
    """
    if content is None:
        content = content_digest(files, file_digests(root, files))
    write = partial(
        _write_images,
        root=root,
        files=files,
        size=size,
        image_size=image_size,
        content=content,
        on_error=on_error,
        none_needed=none_needed,
        progress=progress,
    )
    arrays = cached_arrays(_key(files, content, size, image_size), write)
    rows, reasons = arrays["broken_rows"].tolist(), map(str, arrays["broken_reasons"].tolist())
    broken = dict(zip(rows, reasons, strict=True))
    if on_error == "refuse":
        refuse_broken(root, files, broken, on_error)
    return DecodedFiles(arrays["images"], arrays["digests"], content, broken)


def joined_images(
    parts: Sequence[tuple[DecodedFiles, Sequence[str]]], root: Place, *, size: int | None, image_size: int
) -> DecodedFiles:
    """The images of the files of several parts that are not broken, as `decoded_images` returns them for these files.

    The decoded images are copied from the cache entries of the parts, so that no file is decoded again.

    Args:
        parts: For each part, what `decoded_images` returned, and the names of the part's files.
        root: See `decoded_images`, which also describes the other arguments.
    """
    rows = [[row for row in range(len(files)) if row not in decoded.broken] for decoded, files in parts]
    names = [files[row] for (_, files), whole in zip(parts, rows, strict=True) for row in whole]
    digests = np.concatenate([decoded.digests[whole] for (decoded, _), whole in zip(parts, rows, strict=True)])
    content = content_digest(names, digests)
    with ThreadPoolExecutor(NUM_THREADS) as pool, large_images_may_be_opened():
        side = size or _common_side(pool, [root / name for name in names], image_size)
    if any(decoded.images.shape[1] != side for decoded, _ in parts):
        return decoded_images(root, names, size=size, image_size=image_size, content=content)

    def copy(folder: Path) -> None:
        with array_file(folder / "images.npy", (len(names), side, side, 3), np.uint8) as out:
            for (decoded, _), whole in zip(parts, rows, strict=True):
                for begin in range(0, len(whole), CHUNK_IMAGES):
                    out.write(decoded.images[whole[begin : begin + CHUNK_IMAGES]].tobytes())
        _save_facts(folder, digests, {})

    arrays = cached_arrays(_key(names, content, size, image_size), copy)
    return DecodedFiles(arrays["images"], arrays["digests"], content, {})


def _key(files: Sequence[str], content: str, size: int | None, image_size: int) -> dict[str, object]:
    """The key of the cache entry of some files."""
    import PIL

    return {
        "files": list(files),
        "content": content,
        "size": size,
        "image_size": image_size if size is None else None,
        "pillow": PIL.__version__,
    }


def _save_facts(folder: Path, digests: Digests, broken: Mapping[int, str]) -> None:
    """Write what a cache entry holds besides the images."""
    np.save(folder / "digests.npy", digests)
    np.save(folder / "broken_rows.npy", np.array(list(broken), np.int64))
    np.save(folder / "broken_reasons.npy", np.array(list(broken.values()), dtype="U200"))


def _write_images(
    folder: Path,
    *,
    root: Place,
    files: Sequence[str],
    size: int | None,
    image_size: int,
    content: str,
    on_error: OnError,
    none_needed: bool,
    progress: Progress,
) -> None:
    from PIL import Image

    before, digests = file_stamps(root, files), file_digests(root, files)
    if content_digest(files, digests) != content:
        raise InputError(
            f"{root}: the files on this node differ from those that the sweep was started with; restore the original "
            "ones"
        )
    Image.init()  # not safe in several threads at once
    begin = perf_counter()
    broken: dict[int, str] = {}
    with ThreadPoolExecutor(NUM_THREADS) as pool, large_images_may_be_opened():
        side = size or _common_side(pool, [root / file for file in files], image_size)
        with array_file(folder / "images.npy", (len(files), side, side, 3), np.uint8) as out:
            for row, decoded in enumerate(_decode_all(pool, root, files, side)):
                if row % PROGRESS_IMAGES == 0:
                    progress(row, len(files))
                if isinstance(decoded, str):
                    broken[row] = decoded
                    out.write(bytes(side * side * 3))
                else:
                    out.write(decoded.tobytes())
    if file_stamps(root, files) != before:
        raise InputError(f"{root}: files changed while they were decoded; start again when nothing writes there")
    refuse_broken(root, files, broken, on_error, none_needed=none_needed)
    _save_facts(folder, digests, broken)
    logger.info("decoded %d images to %d x %d (%.1f s)", len(files), side, side, perf_counter() - begin)


def refuse_broken(
    root: Place, files: Sequence[str], broken: Mapping[int, str], on_error: OnError, *, none_needed: bool = False
) -> None:
    """Refuse broken files unless they can be skipped.

    Args:
        root: The folder, or another place, that `files` are relative to.
        files: All files.
        broken: The reason why a file cannot be used, by its position in `files`.
        on_error: See `decoded_images`.
        none_needed: See `decoded_images`.

    Raises:
        InputError: There are files that cannot be skipped, or all files are broken.
    """
    unreadable = {row: reason for row, reason in broken.items() if isinstance(reason, Unreadable)}
    are_all = len(broken) == len(files) and not none_needed
    refused = broken if on_error == "refuse" or are_all else unreadable
    if refused:
        named = first_of([f"{files[row]} ({reason})" for row, reason in refused.items()], NUM_NAMED, "; ")
        raise InputError(
            f"{root}: {len(refused)} of {len(files)} images cannot be used: {named}; replace or remove them"
        )


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


def _decode_all(pool: ThreadPoolExecutor, root: Place, files: Sequence[str], side: int) -> Iterator[Decoded]:
    """The image of every file, in order; files are decoded in chunks, so that few images are in memory at a time."""
    chunk = max(NUM_THREADS, min(CHUNK_IMAGES, CHUNK_BYTES // (side * side * 3)))
    for begin in range(0, len(files), chunk):
        names = files[begin : begin + chunk]
        yield from pool.map(partial(decode_image, side=side), (root / name for name in names))


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


def header_problems(root: Place, files: Sequence[str]) -> dict[int, str]:
    """The reason why a file cannot be used, by its position. Only the first bytes of each file are read.

    Damage behind the first bytes of an image is not found.
    """
    from PIL import Image

    Image.init()  # not safe in several threads at once
    with ThreadPoolExecutor(NUM_THREADS) as pool, large_images_may_be_opened():
        problems = pool.map(_header_problem, (root / name for name in files))
        return {row: problem for row, problem in enumerate(problems) if problem is not None}


def _header_problem(path: Path | InMemory) -> str | None:
    from PIL import Image

    try:
        with Image.open(_source(path), formats=FORMATS) as image:
            return _too_large(image)
    except Exception as error:  # the errors that decoders raise on broken files have no common base
        return _reason(error)


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


def _common_side(pool: ThreadPoolExecutor, paths: Sequence[Path | InMemory], image_size: int) -> int:
    """The side S of the stored images if `size` is not set; files that cannot be opened are ignored."""
    sizes = {size for size in pool.map(_header_size, paths) if size is not None}
    if len(sizes) == 1:
        ((width, height),) = sizes
        if width == height <= image_size:
            return width
    return image_size


def _header_size(path: Path | InMemory) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(_source(path), formats=FORMATS) as image:
            return image.size
    except Exception:  # the error is reported when the file is decoded
        return None


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


def _kind(image: "Image") -> str:
    """The kind of a large image, a key of `LARGEST_MEGAPIXELS`."""
    if image.format != "JPEG":
        return "other"
    return "progressive JPEG" if image.info.get("progressive") else "baseline JPEG"


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
