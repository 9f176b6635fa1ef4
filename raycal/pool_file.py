"""A pool as a file: one array entry a sample, packed; unpacked it is no larger than the pool ought to be."""

import io
import zlib
from collections.abc import Mapping
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import PoolSnapshot

_DTYPES: Mapping[str, npt.DTypeLike] = {"status": np.int8, "labels": np.int32, "purity": np.float32}
_EARLIER = _DTYPES.keys() - {"purity"}  # which had no use for it
# Of a sample, all arrays together, and of an archive of nothing, both with room to spare.
_SAMPLE_BYTES, _ARCHIVE_BYTES = 16, 4096
_UNPACKED_IN_PIECES = (ZIP_STORED, ZIP_DEFLATED)


def pack(pool: PoolSnapshot) -> bytes:
    """The pool as an .npz file."""
    purity = np.ones(len(pool.status), np.float32) if pool.purity is None else pool.purity
    buffer = io.BytesIO()
    np.savez_compressed(buffer, status=pool.status, labels=pool.labels, purity=purity)
    return buffer.getvalue()


def unpack(content: bytes, num_samples: int) -> PoolSnapshot:
    """The pool of that many samples that `pack` made a file of. Memory is taken for what is as it should be.

    Raises:
        ValueError: The file is another.
    """
    if len(content) > num_samples * _SAMPLE_BYTES + _ARCHIVE_BYTES:
        raise ValueError(f"too large for {num_samples} samples")
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            if members.keys() not in (_DTYPES.keys(), _EARLIER):
                raise ValueError(f"other arrays: {sorted(members)}")
            if any(member.compress_type not in _UNPACKED_IN_PIECES for member in members.values()):
                raise ValueError("packed in another way")
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
