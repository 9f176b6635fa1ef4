"""Digests of files that were read before, so that a later start of a project need not read all of its images again."""

import hashlib
import logging
import os
import struct
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from raycal.data.cache import cache_dir
from raycal.data.content import DIGEST_BYTES, Digests, Stamps, file_digests, file_stamps
from raycal.data.places import FilePlace

logger = logging.getLogger(__name__)

FOLDER = "digests"
STAMP = struct.Struct("<5Q")
ENTRY_BYTES = STAMP.size + DIGEST_BYTES  # a stamp and the digest of the content that the file had
CHECKSUM_BYTES = 4
# A file that has just changed may change again without getting another time, so its digest is not remembered.
SETTLED_NS = 2 * 10**9


def remembered_digests(root: FilePlace, files: Sequence[str]) -> Digests:
    """The digests that `file_digests` returns. The digests of unchanged files are taken from the cache.

    A file counts as unchanged if it has the same device, inode, size, time of the last change of its content, and time
    of the last change of its status as when it was read. The time of the last change of the status cannot be set by
    programs, such as those that unpack archives. If the cache cannot be written, all files are read at every start.
    """
    path = cache_dir() / FOLDER / hashlib.sha256(os.fsencode(str(root))).hexdigest()
    now = time.time_ns()
    stamps, known = _packed(file_stamps(root, files)), _read(path)
    unknown = [row for row, stamp in enumerate(stamps) if stamp not in known]
    names = [files[row] for row in unknown]
    unread = bytes(DIGEST_BYTES)
    content = bytearray().join(known.get(stamp, unread) for stamp in stamps)
    digests = np.frombuffer(content, np.uint8).reshape(len(files), DIGEST_BYTES)
    if not unknown:
        return digests
    digests[unknown] = file_digests(root, names)
    after = file_stamps(root, names)
    packed = _packed(after)
    unsettled = {
        row
        for row, stamp, later in zip(unknown, after, packed, strict=True)
        if not stamp or later != stamps[row] or max(stamp[3:]) > now - SETTLED_NS or not digests[row].any()
    }
    kept = [row for row in range(len(files)) if row not in unsettled]
    if len(kept) > len(files) - len(unknown):
        _write(path, [stamps[row] for row in kept], digests[kept])
    return digests


def _read(path: Path) -> dict[bytes, bytes]:
    """The digests by stamp. Empty if the file is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    entries, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if len(entries) % ENTRY_BYTES or zlib.crc32(entries).to_bytes(CHECKSUM_BYTES, "big") != checksum:
        return {}
    starts = range(0, len(entries), ENTRY_BYTES)
    return {entries[at : at + STAMP.size]: entries[at + STAMP.size : at + ENTRY_BYTES] for at in starts}


def _packed(stamps: Stamps) -> list[bytes]:
    """The bytes of each stamp, which are empty for a file that cannot be found."""
    return [STAMP.pack(*(number % 2**64 for number in stamp)) if stamp else b"" for stamp in stamps]


def _write(path: Path, stamps: Sequence[bytes], digests: Digests) -> None:
    entries = b"".join(stamp + digest.tobytes() for stamp, digest in zip(stamps, digests, strict=True))
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(entries + zlib.crc32(entries).to_bytes(CHECKSUM_BYTES, "big"))
        partial.replace(path)
    except OSError as error:
        logger.debug("%s: cannot remember digests (%s)", path, error)
        with suppress(OSError):
            partial.unlink()
