"""Decodes image files into one uint8 array, in parallel, with bounded memory, and through the cache.

The stored size: images are stored as S x S pixels. S is `size` if `size` is set. Otherwise, S is the common side if all
images are square, of equal size and not larger than `image_size`. In all other cases, S is `image_size`. An image that
is not S x S is resized and cropped as `raycal.data.one_image` describes.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal, NamedTuple

import numpy as np

from raycal.data.cache import array_file, cached_arrays
from raycal.data.content import Digests, content_digest, file_digests, file_stamps
from raycal.data.loaded import Images
from raycal.data.one_image import (
    Decoded,
    Unreadable,
    decode_image,
    header_problem,
    header_size,
    large_images_may_be_opened,
)
from raycal.data.places import InMemory, Place
from raycal.errors import InputError, first_of

logger = logging.getLogger(__name__)

CHUNK_BYTES, CHUNK_IMAGES = 64 * 2**20, 1024
NUM_NAMED = 5
NUM_THREADS = os.cpu_count() or 1

OnError = Literal["refuse", "skip"]
# A function that is called after every few hundred files, with the number of decoded files and the number of all files.
Progress = Callable[[int, int], object]
PROGRESS_IMAGES = 500


def ignore_progress(done: int, total: int) -> None:
    """A `Progress` function that does nothing."""


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


def _decode_all(pool: ThreadPoolExecutor, root: Place, files: Sequence[str], side: int) -> Iterator[Decoded]:
    """The image of every file, in order; files are decoded in chunks, so that few images are in memory at a time."""
    chunk = max(NUM_THREADS, min(CHUNK_IMAGES, CHUNK_BYTES // (side * side * 3)))
    for begin in range(0, len(files), chunk):
        names = files[begin : begin + chunk]
        yield from pool.map(partial(decode_image, side=side), (root / name for name in names))


def header_problems(root: Place, files: Sequence[str]) -> dict[int, str]:
    """The reason why a file cannot be used, by its position. Only the first bytes of each file are read.

    Damage behind the first bytes of an image is not found.
    """
    from PIL import Image

    Image.init()  # not safe in several threads at once
    with ThreadPoolExecutor(NUM_THREADS) as pool, large_images_may_be_opened():
        problems = pool.map(header_problem, (root / name for name in files))
        return {row: problem for row, problem in enumerate(problems) if problem is not None}


def _common_side(pool: ThreadPoolExecutor, paths: Sequence[Path | InMemory], image_size: int) -> int:
    """The side S of the stored images if `size` is not set; files that cannot be opened are ignored."""
    sizes = {size for size in pool.map(header_size, paths) if size is not None}
    if len(sizes) == 1:
        ((width, height),) = sizes
        if width == height <= image_size:
            return width
    return image_size
