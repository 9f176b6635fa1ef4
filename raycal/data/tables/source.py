"""A file with a table, and its columns before they are checked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from raycal.algorithm.records import Indices
from raycal.data.tables.columns import Columns
from raycal.errors import InputError, first_of, one_line

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES, BLOCK_BYTES = 2**16, 2**25


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file on a file system of pyarrow."""

    place: str
    filesystem: Any = field(compare=False, hash=False)
    path: str

    def stamp(self) -> tuple[int, int]:
        """The size in bytes and the time of the last change, by which a change of the file is noticed.

        Raises:
            InputError: There is no such file.
        """
        from pyarrow import fs

        with self.reached():
            info = self.filesystem.get_file_info(self.path)
        if info.type == fs.FileType.NotFound:
            raise InputError(f"{self.place}: no such file; give a CSV or Parquet file")
        if info.type == fs.FileType.Directory:
            raise InputError(f"{self.place}: is a folder; give a CSV or Parquet file")
        return info.size, info.mtime_ns or 0

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The content, decompressed, from its beginning."""
        with self.reached(), self.filesystem.open_input_stream(self.path) as stream:
            yield stream

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Report errors of the file system in one line."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowInvalid, UnicodeError):
            raise
        except OSError as error:
            raise InputError(f"{self.place}: cannot be read ({one_line(error.strerror or error)})") from error


class RawTable(NamedTuple):
    """The columns of a file before they are checked.

    Attributes:
        columns: The columns by role, each without chunks.
        rows: (R,) int64, the row number of each row.
        names: The names of all columns of the file.
        broken: Lines about rows that cannot be read at all, by row number.
        notes: What a user should know about the file.
    """

    columns: "dict[str, pa.Array]"
    rows: Indices
    names: tuple[str, ...]
    broken: Mapping[int, str]
    notes: list[str]


def head_of(file: TableFile) -> bytes:
    """The first bytes of a file, or all of them if there are fewer."""
    with file.opened() as stream:
        return bytes(stream.read(HEAD_BYTES))


def found_columns(place: str, columns: Columns, names: Sequence[str]) -> dict[str, int]:
    """The position of each used column.

    Raises:
        InputError: Columns are missing, or several columns have the same name. The error has a line for each problem.
    """
    problems, found = [], {}
    for role, name in columns.used().items():
        if (number := sum(one == name for one in names)) == 1:
            found[role] = list(names).index(name)
        elif number:
            problems.append(f"{place}: has {number} columns named {name}; rename all but one")
        else:
            folded = {one.casefold(): one for one in names}
            near = get_close_matches(name.casefold(), folded, 1, 0.6)
            hint = f"did you mean {folded[near[0]]}?" if near else f"it has {first_of(list(names), 20)}"
            problems.append(f"{place}: has no column {name} for the {_called(role)}; {hint}")
    if problems:
        raise InputError(*problems)
    return found


def _called(role: str) -> str:
    return "samples" if role == "sample" else f"{role}s"


def without_chunks(column: "pa.ChunkedArray") -> "pa.Array":
    """A column without chunks."""
    import pyarrow as pa

    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def stripped(
    array: "pa.Array", notes: list[str] | None = None, column: str = "", rows: Indices | None = None
) -> "pa.Array":
    """Texts without the spaces around them; an empty text becomes null. A note says which cells had spaces."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stripped = pc.utf8_trim_whitespace(array)
    if notes is not None and rows is not None:
        changed = np.asarray(pc.fill_null(pc.not_equal(stripped, array), False))
        if number := int(changed.sum()):
            cells = "1 cell" if number == 1 else f"{number:,} cells"
            first = rows[np.flatnonzero(changed)[0]]
            notes.append(f"spaces around {cells} of the column {column} are ignored (first in row {first})")
    return pc.if_else(pc.equal(stripped, ""), pa.scalar(None, array.type), stripped)
