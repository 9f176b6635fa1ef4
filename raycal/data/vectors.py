"""Reads vectors, such as embeddings, from NumPy and Parquet files, in chunks, and finds all of their problems at once.

Files in an object store are downloaded into the cache folder first. Nothing in a file is ever unpickled, because that
could run code.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from raycal.data.cache import array_file, cache_dir, cached_arrays, evict
from raycal.data.content import digest_of, file_digests
from raycal.data.loaded import Vectors
from raycal.errors import InputError, first_of, one_line
from raycal.filesystem import open_place

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_BYTES = 2**25  # about this many bytes are read and checked at a time
FOLDER, COPIES = "vectors", "vector_files"
MAX_CACHE_BYTES = 16 * 2**30  # the limit for each of the two cache folders
NUM_NAMED = 3  # the largest number of values that are named for each kind of problem
PICKLED = "holds Python objects, which are never read because that can run code; save an array of numbers or of texts"

Array = npt.NDArray[Any]


class Chunks(Protocol):
    """A matrix of S vectors of D values each, which is read in chunks of rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def chunks(self) -> Iterator[Array]:
        """Chunks of rows, in order, in the number format of the file."""


# --------------------------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that a user named, on this machine: either the file itself, or a copy of a file in an object store.

    Attributes:
        place: The file as the user gave it, for messages.
        path: The path on this machine.
        stamp: A text that changes whenever the file changes.
    """

    place: str
    path: Path = field(compare=False)
    stamp: str

    @property
    def digest(self) -> str:
        """The digest of the content, in hexadecimal, by which arrays from the file are kept in the cache."""
        return file_digests(self.path.parent, [self.path.name]).tobytes().hex()


def local_file(place: str, setting: str) -> LocalFile:
    """Find a file, and download it if it is in an object store and has not been downloaded yet.

    Args:
        place: A path of this machine, or a URI such as `s3://bucket/vectors.npy`.
        setting: The name of the setting that the place is from.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    from pyarrow import fs

    filesystem, path = open_place(place, setting=f"{setting}:")
    with _reached(place):
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise InputError(f"{place}: no such file")
        if info.type == fs.FileType.Directory:
            raise InputError(f"{place}: is a folder; give a file")
        if isinstance(filesystem, fs.LocalFileSystem):
            status = Path(path).stat()
            times = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
            return LocalFile(place, Path(path), times)
        stamp = f"{info.size} {info.mtime_ns}"
        copy = cache_dir() / COPIES / digest_of(f"{place} {stamp}".encode()).hex() / "copy"
        if not copy.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            part = copy.with_suffix(f".{os.getpid()}")
            with filesystem.open_input_stream(path, compression=None) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
            part.replace(copy)
            evict(COPIES, keep_bytes=MAX_CACHE_BYTES)
        return LocalFile(place, copy, stamp)


@contextmanager
def _reached(place: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{place}: cannot be read ({one_line(error.strerror or error)})") from error


# --------------------------------------------------------------------------------------------------------------- numpy


class Mapped:
    """An array in an `.npy` file, which is memory-mapped.

    Raises:
        InputError: The file does not hold an array that may be read.
    """

    def __init__(self, file: LocalFile) -> None:
        with _reached(file.place), _only_arrays(file.place):
            self.array: Array = np.load(file.path, mmap_mode="r", allow_pickle=False)
        if not isinstance(self.array, np.ndarray):
            raise InputError(f"{file.place}: is an archive of arrays; give it the suffix .npz")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    @property
    def as_it_is(self) -> Vectors | None:
        """The array itself, if it has the number format and the order of a `VectorDataset`."""
        fits = self.array.dtype == np.dtype("<f4") and self.array.dtype.isnative and self.array.flags.c_contiguous
        return self.array if fits else None

    def chunks(self) -> Iterator[Array]:
        for part in _parts(self.shape, self.dtype):
            yield self.array[part]


class Archive:
    """The arrays in an `.npz` file, which are read one at a time.

    Raises:
        InputError: The file is not an `.npz` archive.
    """

    def __init__(self, file: LocalFile) -> None:
        self.file = file
        try:
            with _reached(file.place), zipfile.ZipFile(file.path) as archive:
                members = [name for name in archive.namelist() if name.endswith(".npy")]
        except zipfile.BadZipFile as error:
            raise InputError(f"{file.place}: is not an .npz file that numpy.savez wrote") from error
        self.names = tuple(name.removesuffix(".npy") for name in members)
        if not self.names:
            raise InputError(f"{file.place}: holds no arrays")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """The shape and the number format of an array, from its first bytes."""
        with self._opened(name) as stream:
            shape, _, dtype = _header(stream)
        return shape, dtype

    def array(self, name: str) -> Array:
        """A whole array in memory.

        Raises:
            InputError: The array cannot be read.
        """
        with self._opened(name) as stream:
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        place = f"{self.file.place}: {name}"
        try:
            with (
                _reached(self.file.place),
                _only_arrays(place),
                zipfile.ZipFile(self.file.path) as archive,
                archive.open(f"{name}.npy") as stream,
            ):
                yield stream
        except (zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"{place}: is damaged ({one_line(error)})") from error


class Member:
    """An array in an `.npz` file, which is unpacked in chunks of rows."""

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, name
        self.shape, self.dtype = archive.header(name)

    def chunks(self) -> Iterator[Array]:
        with self._archive._opened(self._name) as stream:
            _, is_fortran, _ = _header(stream)
            if not is_fortran:
                for part in _parts(self.shape, self.dtype):
                    rows = part.stop - part.start
                    wanted = rows * self.shape[1] * self.dtype.itemsize
                    content = stream.read(wanted)
                    if len(content) < wanted:
                        raise EOFError("it ends too early")
                    yield np.frombuffer(content, self.dtype).reshape(rows, self.shape[1])
                return
        whole = self._archive.array(self._name)
        for part in _parts(self.shape, self.dtype):
            yield whole[part]


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the shape, the order and the number format of an array. Afterwards the stream is at the first value of the
    array.
    """
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(stream)
    return header


@contextmanager
def _only_arrays(place: str) -> Iterator[None]:
    """Report in one line whatever is not an array of numbers or texts."""
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        words = str(error)
        if "pickle" in words or "objects" in words.lower():
            raise InputError(f"{place}: {PICKLED}") from error
        if "mmap" in words or "EOF" in words or "No data left" in words or "cannot reshape" in words:
            raise InputError(f"{place}: ends too early; copy it again") from error
        raise InputError(f"{place}: is not an array that numpy.save wrote ({one_line(error)})") from error


# ------------------------------------------------------------------------------------------------------------- parquet


class ListColumn:
    """The vectors in a Parquet column whose cells are lists of numbers.

    Args:
        place: The file and the column, for messages.
        column: The lists; none of them is null.
        rows: The row number of each list in the file.

    Raises:
        InputError: The cells are not lists of numbers, or their lengths differ.
    """

    def __init__(self, place: str, column: "pa.Array", rows: npt.NDArray[np.int64]) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        if not any(check(kind) for check in is_list):
            raise InputError(f"{place}: has the type {kind}; give a column of lists of numbers, or numeric columns")
        if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
            raise InputError(f"{place}: has lists of the type {kind.value_type}; give lists of numbers")
        lengths = np.asarray(pc.list_value_length(column))
        sizes, counts = np.unique(lengths, return_counts=True)
        if len(sizes) > 1:
            usual = int(sizes[counts.argmax()])
            other = np.flatnonzero(lengths != usual)
            named = first_of([f"row {rows[at]} has {lengths[at]:,}" for at in other.tolist()], NUM_NAMED)
            raise InputError(
                f"{place}: {len(other):,} of {len(lengths):,} vectors have another length than {usual:,}: {named}"
            )
        values = column.flatten()
        self.shape = (len(column), int(sizes[0]))
        self._values = values
        self.dtype = np.dtype(kind.value_type.to_pandas_dtype())

    def chunks(self) -> Iterator[Array]:
        """Chunks of rows, in which a null becomes NaN."""
        width = self.shape[1]
        for part in _parts(self.shape, self.dtype):
            values = self._values.slice(part.start * width, (part.stop - part.start) * width)
            yield values.to_numpy(zero_copy_only=False).reshape(-1, width)


class NumericColumns:
    """The vectors in a Parquet file with a numeric column for each value of a vector.

    Args:
        file: The file.
        names: The columns, in the order of the values.
        rows: (S,) int64, the row numbers that are used, from 1.
    """

    def __init__(self, file: LocalFile, names: Sequence[str], rows: npt.NDArray[np.int64]) -> None:
        from pyarrow import parquet

        self._path, self._names, self._kept = file.path, list(names), rows - 1
        with parquet.ParquetFile(file.path) as opened:
            types = [opened.schema_arrow.field(name).type.to_pandas_dtype() for name in names]
        self.shape, self.dtype = (len(rows), len(names)), np.result_type(*types)

    def chunks(self) -> Iterator[Array]:
        """Chunks of the used rows, each from some row groups, in which a null becomes NaN."""
        from pyarrow import parquet

        begin = 0
        rows_at_once = max(1, CHUNK_BYTES // (8 * self.shape[1]))
        with parquet.ParquetFile(self._path) as opened:
            for batch in opened.iter_batches(rows_at_once, columns=self._names):
                by_name = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in self._names}
                end = begin + len(batch)
                first, last = np.searchsorted(self._kept, [begin, end])
                yield np.stack([by_name[name] for name in self._names], axis=1)[self._kept[first:last] - begin]
                begin = end


# -------------------------------------------------------------------------------------------------------------- checks


def shape_problems(place: str, vectors: Chunks) -> list[str]:
    """Why an array cannot be a matrix of vectors, one line for each reason."""
    problems, shape, kind = [], vectors.shape, vectors.dtype.kind
    if vectors.dtype.hasobject:
        problems.append(f"{place}: {PICKLED}")
    elif kind not in "fiub":
        called = {"U": "texts", "S": "texts", "c": "complex numbers", "V": "records"}.get(kind, str(vectors.dtype))
        problems.append(f"{place}: holds {called}; the vectors should be numbers")
    if len(shape) != 2:
        dimensions = "1 dimension" if len(shape) == 1 else f"{len(shape)} dimensions"
        problems.append(f"{place}: has {dimensions}, {shape}; the vectors should be the rows of a matrix (S, D)")
    elif 0 in shape:
        problems.append(f"{place}: is empty, {shape}; it should have a row for each vector")
    return problems


def value_problems(
    place: str, vectors: Chunks, name: Callable[[int, int], str], write: Callable[[Vectors], object] | None = None
) -> list[str]:
    """Check all values, and convert them to float32 on the way.

    Args:
        place: The file and the array, for messages.
        vectors: The vectors.
        name: The words for a value in a message, from its row and its column.
        write: Takes the vectors of each chunk as float32. None means that the vectors are only checked.

    Returns:
        A line for each kind of value that cannot be used: NaN, infinite, or too large for float32.
    """
    found: dict[str, list[Any]] = {}
    begin = 0
    for chunk in vectors.chunks():
        with np.errstate(over="ignore", invalid="ignore"):
            values = chunk.astype(np.float32, copy=False)
        if write is not None:
            write(values)
        # If all values are finite, so is their sum, unless it overflows. If the sum is not finite, each value is
        # checked.
        with np.errstate(over="ignore", invalid="ignore"):
            is_fine = np.isfinite(values.sum(dtype=np.float64))
        if not is_fine and (bad := ~np.isfinite(values)).any():
            for what, mask in (
                ("NaN", np.isnan(chunk)),
                ("infinite", np.isinf(chunk)),
                ("beyond the range of float32", bad & np.isfinite(chunk)),
            ):
                rows, columns = np.nonzero(mask)
                if len(rows):
                    count, num_rows, named = found.setdefault(what, [0, 0, []])
                    first = zip(rows[:NUM_NAMED].tolist(), columns[:NUM_NAMED].tolist(), strict=True)
                    named += [name(begin + row, column) for row, column in first]
                    found[what] = [count + len(rows), num_rows + len(np.unique(rows)), named[:NUM_NAMED]]
        begin += len(chunk)
    return [
        f"{place}: {_counted(count, 'value')} in {_counted(num_rows, 'row')} {'is' if count == 1 else 'are'} {what}: "
        f"{', '.join(named)}{', ...' if count > len(named) else ''}"
        for what, (count, num_rows, named) in found.items()
    ]


def as_float32(vectors: Chunks, key: dict[str, object], place: str, name: Callable[[int, int], str]) -> Vectors:
    """The vectors (S, D) as float32, memory-mapped: the file itself if it has this format, otherwise a copy in the
    cache.

    Args:
        vectors: The vectors, whose shape has been checked.
        key: A value that changes whenever the vectors may change.
        place: The file and the array, for messages.
        name: The words for a value in a message, from its row and its column.

    Raises:
        InputError: There are values that cannot be used, or the cache cannot be written.
    """
    if isinstance(vectors, Mapped) and (mapped := vectors.as_it_is) is not None:
        return mapped

    def make(folder: Path) -> None:
        with array_file(folder / "vectors.npy", vectors.shape, np.float32) as file:
            problems = value_problems(
                place, vectors, name, lambda values: file.write(np.ascontiguousarray(values).data)
            )
        if problems:
            raise InputError(*problems)

    made: Vectors = cached_arrays({"content": "vectors", **key}, make, folder=FOLDER)["vectors"]
    evict(FOLDER, keep_bytes=MAX_CACHE_BYTES)
    return made


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _parts(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[slice]:
    """Slices of rows that have about `CHUNK_BYTES` bytes each."""
    rows = max(1, CHUNK_BYTES // max(1, dtype.itemsize * shape[1]))
    for begin in range(0, shape[0], rows):
        yield slice(begin, min(begin + rows, shape[0]))
