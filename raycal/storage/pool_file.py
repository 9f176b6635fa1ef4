"""Stores a pool as a compressed file with one array entry per sample; reading checks the size before unpacking."""

import io
import zlib
from collections.abc import Mapping
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from raycal.algorithm.pool import NO_LABEL, UNLABELED
from raycal.algorithm.records import PoolSnapshot

_DTYPES: Mapping[str, npt.DTypeLike] = {"status": np.int8, "labels": np.int32, "purity": np.float32}
_OF_NEW_SAMPLES: Mapping[str, int] = {"status": UNLABELED, "labels": NO_LABEL, "purity": 1}
_EARLIER = _DTYPES.keys() - {"purity"}  # Earlier versions stored no purity.
# Upper limits, which are larger than any real value: the bytes per sample over all arrays together, and the bytes of an
# archive without samples.
_SAMPLE_BYTES, _ARCHIVE_BYTES = 16, 4096
_UNPACKED_IN_PIECES = (ZIP_STORED, ZIP_DEFLATED)


def pack(pool: PoolSnapshot) -> bytes:
    """The pool as the content of an .npz file."""
    purity = np.ones(len(pool.status), np.float32) if pool.purity is None else pool.purity
    buffer = io.BytesIO()
    np.savez_compressed(buffer, status=pool.status, labels=pool.labels, purity=purity)
    return buffer.getvalue()


def unpack(content: bytes, num_samples: int, *, may_have_grown: bool = False) -> PoolSnapshot:
    """The pool of `num_samples` samples in a file that `pack` made; memory is allocated only for arrays of the right
    size.

    Args:
        content: The content of the file.
        num_samples: The size of the pool.
        may_have_grown: Whether the pool in the file may be smaller. The further samples have no label.

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
                    arrays[name] = _array(file, np.dtype(_DTYPES[name]), num_samples, may_be_less=may_have_grown)
    except (BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    if len({len(array) for array in arrays.values()}) > 1:
        raise ValueError("its arrays have different lengths")
    if may_have_grown:
        arrays = {name: _grown(array, num_samples, _OF_NEW_SAMPLES[name]) for name, array in arrays.items()}
    return PoolSnapshot(status=arrays["status"], labels=arrays["labels"], purity=arrays.get("purity"))


def _grown(array: npt.NDArray[Any], length: int, value: float) -> npt.NDArray[Any]:
    """The array with further entries of one value."""
    return np.concatenate([array, np.full(length - len(array), value, array.dtype)])


def _array(file: IO[bytes], dtype: np.dtype[Any], length: int, *, may_be_less: bool) -> npt.NDArray[Any]:
    np.lib.format.read_magic(file)
    shape, _, saved_dtype = np.lib.format.read_array_header_1_0(file)
    if may_be_less and len(shape) == 1 and 0 <= shape[0] <= length:
        (length,) = shape
    if shape != (length,) or saved_dtype != dtype:
        raise ValueError(f"an array of {saved_dtype} {shape} in place of {dtype} ({length},)")
    content = file.read(length * dtype.itemsize)
    return np.frombuffer(content, dtype, length)
