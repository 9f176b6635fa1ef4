"""Stores a pool as a compressed file with one array entry per sample; reading checks the size before unpacking."""

import io
import zlib
from collections.abc import Mapping
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import PoolSnapshot

_DTYPES: Mapping[str, npt.DTypeLike] = {"status": np.int8, "labels": np.int32, "purity": np.float32}
_EARLIER = _DTYPES.keys() - {"purity"}  # earlier versions stored no purity
# Upper limits, both with room to spare: bytes per sample, all arrays together, and bytes of an empty archive.
_SAMPLE_BYTES, _ARCHIVE_BYTES = 16, 4096
_UNPACKED_IN_PIECES = (ZIP_STORED, ZIP_DEFLATED)


def pack(pool: PoolSnapshot) -> bytes:
    """The pool as the content of an .npz file."""
    purity = np.ones(len(pool.status), np.float32) if pool.purity is None else pool.purity
    buffer = io.BytesIO()
    np.savez_compressed(buffer, status=pool.status, labels=pool.labels, purity=purity)
    return buffer.getvalue()


def unpack(content: bytes, num_samples: int) -> PoolSnapshot:
    """The pool of `num_samples` samples in a file that `pack` made; memory is allocated only for arrays of the right
    size.

    Raises:
        ValueError: The file was not made by `pack` for a pool of this size.
    """
    if len(content) > num_samples * _SAMPLE_BYTES + _ARCHIVE_BYTES:
        raise ValueError(f"too large for {num_samples} samples")
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            if members.keys() not in (_DTYPES.keys(), _EARLIER):
                raise ValueError(f"unexpected arrays: {sorted(members)}")
            if any(member.compress_type not in _UNPACKED_IN_PIECES for member in members.values()):
                raise ValueError("unsupported compression")
            arrays: dict[str, Any] = {}
            for name, member in members.items():
                with archive.open(member) as file:
                    arrays[name] = _array(file, np.dtype(_DTYPES[name]), num_samples)
    except (BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    return PoolSnapshot(status=arrays["status"], labels=arrays["labels"], purity=arrays.get("purity"))


def _array(file: IO[bytes], dtype: np.dtype[Any], length: int) -> npt.NDArray[Any]:
    np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0(file)
    if header[0] != (length,) or header[2] != dtype:
        raise ValueError(f"an array of {header[2]} {header[0]} in place of {dtype} ({length},)")
    content = file.read(length * dtype.itemsize)
    return np.frombuffer(content, dtype, length)
