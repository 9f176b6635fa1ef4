"""A cache on disk for arrays that are costly to compute: one process computes them, and all processes memory-map them.

An entry is a folder of .npy files, named by the digest of its key, with a manifest of names, sizes, dtypes and shapes.
An entry is put in place by one rename, so it is whole or absent. A damaged entry is computed again.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from raycal.errors import InputError
from raycal.home import expand_home

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MANIFEST, MAX_MANIFEST_BYTES = "manifest.json", 2**16

Arrays = Mapping[str, npt.NDArray[Any]]


def cache_dir() -> Path:
    """The folder for downloads and cached arrays. It is `$RAYCAL_CACHE` if that is set, otherwise `~/.cache/raycal`.

    Raises:
        InputError: There is no home folder, and `RAYCAL_CACHE` is not set.
    """
    try:
        return absolute(os.environ.get("RAYCAL_CACHE") or "~/.cache/raycal")
    except InputError as error:
        raise InputError(f"{error}; or set RAYCAL_CACHE to the folder for decoded images and downloads") from error


def absolute(path: str) -> Path:
    """The absolute path, with `~` expanded.

    Raises:
        InputError: The home folder does not exist.
    """
    return Path(expand_home(path)).absolute()


def cached_arrays(key: Mapping[str, object], make: Callable[[Path], None], *, folder: str = "arrays") -> Arrays:
    """The arrays of one cache entry by name, memory-mapped and read-only.

    Args:
        key: JSON values that describe the content completely; other values name another entry.
        make: Writes the arrays as NAME.npy into the folder that is its argument. It is called by one process at a time,
            and only if there is no whole entry. An `OSError` that it raises is reported as a problem with the cache
            folder.
        folder: The subfolder of the cache for this kind of entry.

    Raises:
        InputError: The cache folder cannot be written.
    """
    content = json.dumps({"format": FORMAT_VERSION, **key}, sort_keys=True)
    entry = cache_dir() / folder / hashlib.sha256(content.encode()).hexdigest()
    arrays = _read(entry)
    if arrays is None:
        try:
            arrays = _read_or_make(entry, make)
        except OSError as error:
            raise InputError(
                f"{cache_dir()}: cannot write the cache ({error.strerror or error});"
                " free space or set RAYCAL_CACHE to a folder that can be written"
            ) from error
    return arrays


def evict(folder: str, *, keep_bytes: int) -> None:
    """Remove the least recently used entries of one kind until at most `keep_bytes` are left; the newest entry always
    stays.

    A process that has mapped a removed entry can continue to read it; a process that is about to read it computes it
    again.
    """
    entries = sorted(_sizes(cache_dir() / folder), reverse=True)
    kept_bytes = 0
    for place, (_, path, size) in enumerate(entries):
        kept_bytes += size
        if place and kept_bytes > keep_bytes:
            removed = path.with_suffix(".removed")
            with suppress(OSError):  # another process is removing the entry, or this user may not remove it
                path.rename(removed)  # atomic, so that no entry is ever incomplete
                shutil.rmtree(removed)


@contextmanager
def array_file(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Iterator[BinaryIO]:
    """Open a new .npy file of this shape, to write its values in order with bounded memory.

    It is not a memory map, because a full disk raises an `OSError` here but kills a process that writes to a map.
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


def _read_or_make(entry: Path, make: Callable[[Path], None]) -> Arrays:
    from filelock import FileLock

    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_suffix(".lock")):
        arrays = _read(entry)  # another process may have computed the entry meanwhile
        if arrays is None:
            begin = perf_counter()
            _make(entry, make)
            logger.info("cached arrays in %s (%.1f s)", entry, perf_counter() - begin)
            arrays = _read(entry)
    if arrays is None:
        raise OSError(f"{entry.name} changed while it was read")
    return arrays


def _make(entry: Path, make: Callable[[Path], None]) -> None:
    """Write an entry atomically; the caller holds its lock."""
    partial, damaged = entry.with_suffix(".partial"), entry.with_suffix(".damaged")
    for leftover in (partial, damaged):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        make(partial)
        _write_manifest(partial)
        for path in (*partial.iterdir(), partial):
            _sync(path)
        if entry.exists():
            logger.warning("%s: damaged cache entry, made again", entry)
            entry.rename(damaged)
        partial.rename(entry)
        _sync(entry.parent)
    finally:
        for leftover in (partial, damaged):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_manifest(folder: Path) -> None:
    files = {}
    for path in folder.glob("*.npy"):
        array = np.lib.format.open_memmap(path, mode="r")
        files[path.stem] = _description(path, array)
    (folder / MANIFEST).write_text(json.dumps(files))


def _sizes(folder: Path) -> Iterator[tuple[int, Path, int]]:
    """The time of last use, the path and the size in bytes of every entry, including unfinished entries of killed
    processes.
    """
    for entry in list(folder.iterdir()) if folder.is_dir() else []:
        with suppress(OSError):  # another process has removed the entry
            if entry.is_dir():
                yield entry.stat().st_mtime_ns, entry, sum(file.stat().st_size for file in entry.iterdir())


def _read(entry: Path) -> Arrays | None:
    """The arrays of an entry; None if it is absent or damaged."""
    try:
        with (entry / MANIFEST).open("rb") as file:
            manifest = json.loads(file.read(MAX_MANIFEST_BYTES))
        if not isinstance(manifest, dict):
            return None
        arrays = {name: _read_array(entry / f"{name}.npy", described) for name, described in manifest.items()}
    except (OSError, ValueError, EOFError, RecursionError):
        return None
    with suppress(OSError):  # the cache may be read-only
        os.utime(entry)  # `evict` removes the entries with the oldest times
    return arrays


def _read_array(path: Path, described: object) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    if _description(path, array) != described:
        raise ValueError(f"{path} is not what the manifest says")
    return array


def _description(path: Path, array: npt.NDArray[Any]) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "dtype": array.dtype.str, "shape": list(array.shape)}


def _sync(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
