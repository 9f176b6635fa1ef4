"""Digests of the files of a dataset.

A file is identified by its bytes. Its size and modification time are not enough, because archives, containers and
mounted object stores often give different files the same size and time.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycal.data.places import InMemory, Place

DIGEST_BYTES = 16
FILES_PER_TASK = 256
NUM_THREADS = os.cpu_count() or 1

# (S, 16): the first 16 bytes of the SHA-256 of each of S images.
Digests = npt.NDArray[np.uint8]
# The device, inode, size, and times of the last change of content and of status of each file.
Stamps = tuple[tuple[int, ...], ...]


def digest_of(content: bytes) -> bytes:
    """The first 16 bytes of the SHA-256 of some bytes."""
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def file_digests(root: Place, files: Sequence[str]) -> Digests:
    """The digest of every file, relative to `root`; zeros for a file that cannot be read, which is reported when it is
    decoded.

    All files are read, by as many threads as there are cores. If a process asks again for the same list of files, the
    files are only read again if the device, inode, size or a time of one of them has changed.
    """
    return _read_digests(root, tuple(files), file_stamps(root, files))


def hex_digests(digests: Digests) -> list[str]:
    """Each digest in hexadecimal."""
    text, length = digests.tobytes().hex(), 2 * DIGEST_BYTES
    return [text[begin : begin + length] for begin in range(0, len(text), length)]


def first_with_content(digests: Digests) -> npt.NDArray[np.int64]:
    """The row of the first file that has the same content, for each of S files: (S,) int64.

    A file that could not be read, which has a digest of zeros, is equal to no other file.
    """
    first: dict[str, int] = {}
    unread = bytes(DIGEST_BYTES).hex()
    contents = hex_digests(digests)
    rows = (row if content == unread else first.setdefault(content, row) for row, content in enumerate(contents))
    return np.fromiter(rows, np.int64, len(digests))


def content_digest(files: Sequence[str], digests: Digests) -> str:
    """One digest, in hexadecimal, of the names and the content of files."""
    return digest_of_all(
        os.fsencode(name) + b"\0" + digest.tobytes() for name, digest in zip(files, digests, strict=True)
    )


def listing_digest(files: Sequence[str], classes: Sequence[str]) -> str:
    """One digest, in hexadecimal, of the names and the classes of files."""
    return digest_of_all(map(name_and_class, files, classes))


def name_and_class(name: str, class_name: str) -> bytes:
    """An image's name and class as bytes. Two different pairs of name and class never give the same bytes."""
    return os.fsencode(name) + b"\0" + class_name.encode("utf-8", "surrogateescape") + b"\0"


def digest_of_all(parts: Iterable[bytes]) -> str:
    """The SHA-256, in hexadecimal, of the concatenated parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def file_stamps(root: Place, files: Sequence[str]) -> Stamps:
    """The stamp of each file, from the file system. The stamp is empty for a file that cannot be found, and for an
    image in a table, which cannot change.
    """
    if isinstance(root, Path):  # making a `Path` takes longer than asking the file system
        folder = str(root)
        return tuple(_stamp(os.path.join(folder, name)) for name in files)
    return tuple(_stamp(root / name) for name in files)


def _stamp(path: str | Path | InMemory) -> tuple[int, ...]:
    if isinstance(path, InMemory):
        return ()
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=4)
def _read_digests(root: Place, files: tuple[str, ...], stamps: Stamps) -> Digests:
    chunks = [files[begin : begin + FILES_PER_TASK] for begin in range(0, len(files), FILES_PER_TASK)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        digests = b"".join(chain.from_iterable(pool.map(lambda names: [_read(root / name) for name in names], chunks)))
    return np.frombuffer(digests, np.uint8).reshape(len(files), DIGEST_BYTES)


def _read(path: Path | InMemory) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()[:DIGEST_BYTES]
    except OSError:
        return bytes(DIGEST_BYTES)
