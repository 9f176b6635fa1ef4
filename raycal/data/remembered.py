"""Digests of files that were read before, so that a later start of a project need not read all of its images again."""

import hashlib
import logging
import os
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from raycal.data.cache import cache_dir
from raycal.data.content import DIGEST_BYTES, Digests, file_digests, file_stamps
from raycal.data.places import FilePlace

logger = logging.getLogger(__name__)

FOLDER = "digests"
ENTRY = np.dtype([("stamp", "<u8", 5), ("digest", "u1", DIGEST_BYTES)])
CHECKSUM_BYTES = 4
# A file that has just changed may change again without getting another time, so its digest is not remembered.
SETTLED_NS = 2 * 10**9

Stamp = tuple[int, ...]


def remembered_digests(root: FilePlace, files: Sequence[str]) -> Digests:
    """The digests that `file_digests` returns. The digests of unchanged files are taken from the cache.

    A file counts as unchanged if it has the same device, inode, size, time of the last change of its content, and time
    of the last change of its status as when it was read. The time of the last change of the status cannot be set by
    programs, such as those that unpack archives. If the cache cannot be written, all files are read at every start.
    """
    path = cache_dir() / FOLDER / hashlib.sha256(os.fsencode(str(root))).hexdigest()
    now = time.time_ns()
    stamps = [tuple(number % 2**64 for number in stamp) for stamp in file_stamps(root, files)]
    known = _read(path)
    unknown = [row for row, stamp in enumerate(stamps) if stamp not in known]
    names = [files[row] for row in unknown]
    digests = np.zeros((len(files), DIGEST_BYTES), np.uint8)
    for row, stamp in enumerate(stamps):
        if stamp in known:
            digests[row] = np.frombuffer(known[stamp], np.uint8)
    if not unknown:
        return digests
    digests[unknown] = file_digests(root, names)
    after = [tuple(number % 2**64 for number in stamp) for stamp in file_stamps(root, names)]
    unsettled = {
        row
        for row, stamp in zip(unknown, after, strict=True)
        if not stamp or stamp != stamps[row] or max(stamp[3:]) > now - SETTLED_NS or not digests[row].any()
    }
    kept = [row for row in range(len(files)) if row not in unsettled]
    if len(kept) > len(files) - len(unknown):
        _write(path, [stamps[row] for row in kept], digests[kept])
    return digests


def _read(path: Path) -> dict[Stamp, bytes]:
    """The digests by stamp. Empty if the file is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    entries, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if len(entries) % ENTRY.itemsize or zlib.crc32(entries).to_bytes(CHECKSUM_BYTES, "big") != checksum:
        return {}
    table = np.frombuffer(entries, ENTRY)
    digests = table["digest"].tobytes()
    return {
        tuple(stamp): digests[begin : begin + DIGEST_BYTES]
        for stamp, begin in zip(table["stamp"].tolist(), range(0, len(digests), DIGEST_BYTES), strict=True)
    }


def _write(path: Path, stamps: Sequence[Stamp], digests: Digests) -> None:
    table = np.empty(len(stamps), ENTRY)
    table["stamp"], table["digest"] = stamps, digests
    entries = table.tobytes()
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(entries + zlib.crc32(entries).to_bytes(CHECKSUM_BYTES, "big"))
        partial.replace(path)
    except OSError as error:
        logger.debug("%s: cannot remember digests (%s)", path, error)
        with suppress(OSError):
            partial.unlink()
