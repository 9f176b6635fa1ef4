"""Reads a table with one row for each sample: a CSV or Parquet file on this machine or in an object store.

The columns are named by options: the sample (a path, a text, or a vector) and, if there are such columns, its label,
split, group and weight. All problems of a file are found at once. Each problem is reported in one line with the row and
the column. The first few problems of each kind are named, and the others are counted.

Row numbers are those that a spreadsheet shows: in a CSV file the row with the names of the columns is row 1. In a
Parquet file the first row of data is row 1.

CSV: UTF-8 with or without a byte order mark, or UTF-16. The delimiter is a comma, a semicolon or a tab, which is found
by looking at the first row. Quoted cells may contain line breaks. Names that end in `.gz`, `.bz2` or `.zst` are
decompressed. Spaces around the names of columns, labels, paths, splits and groups are removed. Rows without any value
are left out.

Parquet: the label may be a text, a whole number, a truth value or a dictionary of these.

One million rows are read and checked in a few seconds, because all checks work on whole columns.
"""

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data.layout import Split, look_alikes, split_of
from raycal.data.text_checks import check_texts
from raycal.errors import InputError, first_of, one_line
from raycal.filesystem import open_place

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["paths", "texts", "vectors"]
OnProblem = Literal["refuse", "skip"]
Delimiter = Literal["comma", "semicolon", "tab"]

DELIMITERS: Mapping[Delimiter, str] = {"comma": ",", "semicolon": ";", "tab": "\t"}
NUM_NAMED = 5  # the number of rows that are named for each kind of problem
MAX_CLASSES = 50_000
HEAD_BYTES, BLOCK_BYTES = 2**16, 2**25
UNLABELED = -1

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns of a table; None for a column that is not used.

    Attributes:
        sample: The path, the text or the vector.
        label: The label.
        split: The split of the row: words such as `train`, `test` and `val`.
        group: What must not be torn apart by a split, such as the patient or the video.
        weight: The weight of the sample's loss, above 0.
    """

    sample: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    weight: str | None = None

    def used(self) -> dict[str, str]:
        """The names of the used columns by their roles, which are the names of the attributes."""
        roles = ("sample", "label", "split", "group", "weight")
        return {role: name for role in roles if (name := getattr(self, role)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The rows of a table that can be used.

    Attributes:
        place: The file, as the user gave it.
        samples: R paths or texts (large_string), or R vectors as they are stored.
        labels: (R,) int64, ids into `class_names`; -1 for a row without a label.
        class_names: The names of the K classes: the given ones, or those in the table in ascending order.
        splits: (R,) int8, the positions of the splits in `SPLITS`. None if there is no such column.
        groups: (R,) int64, a number for each group. None if there is no such column.
        group_names: The name of each group.
        weights: (R,) float32 above 0. None if there is no such column.
        rows: (R,) int64, the row number in the file.
        notes: What a user should know about how the table was read, one line per note.
        dropped: The number of rows that were left out, by reason.
    """

    place: str
    samples: "pa.Array"
    labels: Labels
    class_names: tuple[str, ...]
    splits: npt.NDArray[np.int8] | None
    groups: Indices | None
    group_names: tuple[str, ...]
    weights: Floats | None
    rows: Indices
    notes: tuple[str, ...]
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, kept: Mask) -> "Table":
        """The table with only some of its rows."""
        return self if kept.all() else self.in_order(np.flatnonzero(kept))

    def in_order(self, positions: Indices) -> "Table":
        """The table with only the rows at these positions, in the order of the positions."""
        import pyarrow as pa

        return replace(
            self,
            samples=self.samples.take(pa.array(positions)),
            labels=self.labels[positions],
            splits=None if self.splits is None else self.splits[positions],
            groups=None if self.groups is None else self.groups[positions],
            weights=None if self.weights is None else self.weights[positions],
            rows=self.rows[positions],
        )

    def without(self, dropped: Mask, reason: str, note: str) -> "Table":
        """The table without some rows, which are counted under a reason and described in a note."""
        if not dropped.any():
            return self
        counts = {**self.dropped, reason: self.dropped.get(reason, 0) + int(dropped.sum())}
        return replace(self.take(~dropped), notes=(*self.notes, note), dropped=counts)


SPLITS = (Split.TRAIN, Split.TEST, Split.VAL)


def read_table(
    place: str,
    columns: Columns,
    *,
    kind: Kind,
    delimiter: Delimiter | None = None,
    classes: Sequence[str] | None = None,
    on_error: OnProblem = "refuse",
) -> Table:
    """Read and check a table.

    A table that has not changed since an earlier call with the same arguments is not read again by this process.

    Args:
        place: A path of this machine, or a URI such as `s3://bucket/birds.csv`. A name with the suffix `.parquet` or
            `.pq`, or a file that begins like a Parquet file, is read as Parquet, and every other file as CSV.
        columns: The names of the columns.
        kind: What the samples are. Paths are brought into one form (`./a//b.png` is `a/b.png`), and no path may be
            named twice; texts are left as they are, and are checked by `raycal.data.text_checks`; vectors are not
            looked at.
        delimiter: The delimiter of a CSV file. None means that raycal detects it.
        classes: The names of the classes; a label that is not in the list is a problem. None means the labels of the
            table.
        on_error: Whether rows with problems are refused, or left out and counted. Problems of the file as a whole,
            such as a missing column, are always refused.

    Raises:
        InputError: The file cannot be used, with a line for each of its problems.
    """
    filesystem, path = open_place(place)
    file = _File(place, filesystem, path)
    chosen = None if classes is None else tuple(str(name) for name in classes)
    return _read(file, file.stamp(), columns, kind, delimiter, chosen, on_error)


@dataclass(frozen=True, slots=True)
class _File:
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


class _Raw(NamedTuple):
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


class _Problems:
    """Collects problems of rows.

    Args:
        place: The file, for messages.
        rows: (R,) the row numbers.
    """

    def __init__(self, place: str, rows: Indices) -> None:
        self._place, self._rows = place, rows
        self.lines: list[str] = []
        self.of_file: list[str] = []  # problems that concern more than single rows
        self.is_bad = np.zeros(len(rows), bool)
        self.counts: Counter[str] = Counter()

    def add(self, bad: Mask, column: str, kind: str, text: Callable[[int], str]) -> None:
        """Add the problem of some rows.

        Args:
            bad: (R,) bool, whether each row has the problem.
            column: The name of the column.
            kind: What is wrong with the cells, in a few words, such as `empty`; it follows "cells that are".
            text: What is wrong with the cell of one position, in the range of 0 to R - 1.
        """
        positions = np.flatnonzero(bad)
        if not len(positions):
            return
        self.is_bad |= bad
        self.counts[kind] += len(positions)
        for position in positions[:NUM_NAMED].tolist():
            self.lines.append(f"{self._place}: row {self._rows[position]}, column {column}: {text(position)}")
        if len(positions) > NUM_NAMED:
            self.lines.append(
                f"{self._place}: column {column}: {len(positions) - NUM_NAMED:,} more rows ({kind}), the last in row"
                f" {self._rows[positions[-1]]}"
            )


@lru_cache(maxsize=2)
def _read(
    file: _File,
    stamp: tuple[int, int],
    columns: Columns,
    kind: Kind,
    delimiter: Delimiter | None,
    classes: tuple[str, ...] | None,
    on_error: OnProblem,
) -> Table:
    """See `read_table`.

    Args:
        stamp: A value that changes when the file changes; it is only used as a key of the cache.
    """
    is_parquet = file.path.endswith((".parquet", ".pq")) or _head(file).startswith(b"PAR1")
    raw = _read_parquet(file, columns, kind) if is_parquet else _read_csv(file, columns, kind, delimiter)
    raw = _without_empty_rows(raw)
    if not len(raw.rows) and not raw.broken:
        raise InputError(f"{file.place}: has no rows")
    problems, notes = _Problems(file.place, raw.rows), list(raw.notes)
    used = columns.used()
    table = _checked(raw, file.place, used, kind, classes, problems, notes)
    broken = [f"{file.place}: {line}" for line in list(raw.broken.values())[:NUM_NAMED]]
    if len(raw.broken) > NUM_NAMED:
        broken.append(f"{file.place}: {len(raw.broken) - NUM_NAMED:,} more rows have another number of cells")
    lines = [*broken, *problems.lines]
    if problems.of_file or (lines and (on_error == "refuse" or problems.is_bad.all())):
        raise InputError(*problems.of_file, *lines)
    dropped = dict(problems.counts)
    if raw.broken:
        dropped["another number of cells"] = len(raw.broken)
    if num_dropped := int(problems.is_bad.sum()) + len(raw.broken):
        reasons = ", ".join(f"{count:,} {what}" for what, count in dropped.items())
        rows = "1 row with a problem is" if num_dropped == 1 else f"{num_dropped:,} rows with problems are"
        notes.append(f"{rows} left out ({reasons}): {first_of(lines, 2, '; ')}")
    return replace(table, notes=tuple(notes), dropped=dropped).take(~problems.is_bad)


def _head(file: _File) -> bytes:
    with file.opened() as stream:
        return bytes(stream.read(HEAD_BYTES))


# ---------------------------------------------------------------------------------------------------------------- CSV


def _read_csv(file: _File, columns: Columns, kind: Kind, delimiter: Delimiter | None) -> _Raw:
    """The columns of a CSV file as texts.

    Raises:
        InputError: The file cannot be read, has another encoding, or lacks columns.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    head = _head(file)
    encoding = _encoding(head, file.place)
    sign, names, notes = _header(head, encoding, file.place, columns, delimiter)
    found = _found(file.place, columns, [name.strip() for name in names])
    wanted = {role: names[position] for role, position in found.items()}
    invalid: list[tuple[int, str]] = []

    def refuse(row: Any) -> str:
        cells = "1 cell" if row.actual_columns == 1 else f"{row.actual_columns} cells"
        invalid.append((row.number, f"row {row.number}: has {cells} instead of {row.expected_columns}"))
        return "skip"

    parse = arrow_csv.ParseOptions(
        delimiter=sign, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse
    )
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.large_string() for name in wanted.values()},
        include_columns=list(dict.fromkeys(wanted.values())),
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        null_values=[""],
    )
    read = arrow_csv.ReadOptions(use_threads=False, encoding=encoding, block_size=BLOCK_BYTES)
    try:
        with file.opened() as stream:
            table = arrow_csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, UnicodeError) as error:
        _refuse_bytes(file, encoding)
        raise InputError(f"{file.place}: is not a CSV file that can be read ({one_line(error)})") from error
    broken = dict(sorted(invalid))
    # The rows that were left out have numbers, too, so the numbers of the other rows skip these numbers.
    numbers = np.arange(2, 2 + table.num_rows + len(broken))
    rows = numbers[~np.isin(numbers, list(broken))] if broken else numbers
    arrays = {role: _whole(table.column(name)) for role, name in wanted.items()}
    if (line := _open_quote(file, encoding, table, rows)) is not None:
        raise InputError(line)
    if kind != "texts":
        arrays["sample"] = _stripped(arrays["sample"])
    for role in ("label", "split", "group", "weight"):
        if role in arrays:
            arrays[role] = _stripped(arrays[role], notes, columns.used()[role], rows)
    return _Raw(arrays, rows, tuple(name.strip() for name in names), broken, notes)


def _encoding(head: bytes, place: str) -> str:
    """The encoding of a text that begins with these bytes.

    Raises:
        InputError: The encoding is neither UTF-8 nor UTF-16.
    """
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise InputError(f"{place}: is UTF-32; save it as UTF-8")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        if head.count(0) < len(head) // 4:
            raise InputError(
                f"{place}: is no text (byte {head.index(0)} is zero); give a CSV file, or a Parquet file whose name"
                " ends in .parquet"
            )
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    return "utf-8"


def _header(
    head: bytes, encoding: str, place: str, columns: Columns, delimiter: Delimiter | None
) -> tuple[str, list[str], list[str]]:
    """The delimiter of a CSV file, the names of its columns, and notes about how the delimiter was found."""
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    if not text.strip():
        raise InputError(f"{place}: is empty")
    if not text.splitlines()[0].strip():
        raise InputError(f"{place}: row 1 is empty; it should have the names of the columns")
    if delimiter is not None:
        return DELIMITERS[delimiter], _first_row(text, DELIMITERS[delimiter]), []
    wanted = {*columns.used().values()}
    rows = {name: _first_row(text, sign) for name, sign in DELIMITERS.items()}
    best = max(rows, key=lambda name: (len(wanted & {cell.strip() for cell in rows[name]}), len(rows[name])))
    notes = [] if best == "comma" else [f"the columns are separated by a {best}"]
    return DELIMITERS[best], rows[best], notes


def _first_row(text: str, sign: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=sign))
    except (csv.Error, StopIteration):
        return text.splitlines()[0].split(sign)


def _refuse_bytes(file: _File, encoding: str) -> None:
    """Refuse a text with bytes that are not of its encoding, and name the first of them.

    Raises:
        InputError: There are such bytes.
    """
    import codecs

    decoder, offset, line = codecs.getincrementaldecoder(encoding)(), 0, 1
    with file.opened() as stream:
        while True:
            block = bytes(stream.read(BLOCK_BYTES))
            kept = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].decode(encoding, "replace").count("\n")
                where = offset - kept + error.start
                raise InputError(
                    f"{file.place}: is not {encoding.upper()}: line {line}, byte {where:,} of the file is"
                    f" 0x{error.object[error.start]:02x}; save the file as UTF-8"
                ) from error
            line += text.count("\n")
            offset += len(block)
            if not block:
                return


def _open_quote(file: _File, encoding: str, table: "pa.Table", rows: Indices) -> str | None:
    """A line about a quote that is never closed, so that the last row has swallowed all rows that follow it."""
    if not table.num_rows or not any("\n" in str(column[-1].as_py()) for column in table.columns):
        return None
    quote, num_quotes = '"'.encode(encoding.replace("utf-16", "utf-16-le") if encoding == "utf-16" else encoding), 0
    with file.opened() as stream:
        while block := bytes(stream.read(BLOCK_BYTES)):
            num_quotes += block.count(quote)
    return f"{file.place}: row {rows[-1]}: a quote is never closed" if num_quotes % 2 else None


# ------------------------------------------------------------------------------------------------------------ Parquet


def _read_parquet(file: _File, columns: Columns, kind: Kind) -> _Raw:
    """The columns of a Parquet file; all but vectors and weights as texts.

    Raises:
        InputError: The file cannot be read, or lacks columns.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with file.reached(), file.filesystem.open_input_file(file.path) as source:
            content = parquet.ParquetFile(source)
            names = tuple(content.schema_arrow.names)
            found = _found(file.place, columns, names)
            wanted = {role: names[position] for role, position in found.items()}
            table = content.read(columns=list(dict.fromkeys(wanted.values())))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{file.place}: is not a Parquet file that can be read ({one_line(error)})") from error
    rows, notes, problems = np.arange(1, table.num_rows + 1), list[str](), list[str]()
    arrays: dict[str, pa.Array] = {}
    for role, name in wanted.items():
        array = _whole(table.column(name))
        if role != "weight" and (role, kind) != ("sample", "vectors"):
            try:
                array = _as_text(array)
            except (TypeError, ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                problems.append(f"{file.place}: column {name}: {one_line(error)}")
                continue
            if (role, kind) != ("sample", "texts"):
                array = _stripped(array, notes, name, rows)
        arrays[role] = array
    if problems:
        raise InputError(*problems)
    return _Raw(arrays, rows, names, {}, notes)


def _as_text(array: "pa.Array") -> "pa.Array":
    """A column as texts.

    Raises:
        TypeError: The column has a type that cannot be read as text.
        ValueError: The column has numbers that are not whole.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if types.is_floating(array.type):  # pandas writes whole numbers so if values are missing
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        fractions = array.filter(pc.not_equal(pc.floor(array), array))
        if len(fractions):
            raise ValueError(f"has numbers that are not whole, such as {fractions[0].as_py()}; give texts")
        array = array.cast(pa.int64())
    known = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_boolean)
    if not any(is_known(array.type) for is_known in known) and not types.is_null(array.type):
        raise TypeError(f"has the type {array.type}; give texts or whole numbers")
    return array.cast(pa.large_string())


# ------------------------------------------------------------------------------------------------------------- checks


def _found(place: str, columns: Columns, names: Sequence[str]) -> dict[str, int]:
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


def _whole(column: "pa.ChunkedArray") -> "pa.Array":
    """A column without chunks."""
    import pyarrow as pa

    if pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _stripped(
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


def _without_empty_rows(raw: _Raw) -> _Raw:
    """The rows that have a value in any used column."""
    import pyarrow as pa

    has_value = np.zeros(len(raw.rows), bool)
    for array in raw.columns.values():
        has_value |= _mask(array.is_valid())
    if number := int((~has_value).sum()):
        raw.notes.append("1 row is empty" if number == 1 else f"{number:,} rows are empty")
        columns = {role: array.filter(pa.array(has_value)) for role, array in raw.columns.items()}
        return raw._replace(columns=columns, rows=raw.rows[has_value])
    return raw


def _checked(
    raw: _Raw,
    place: str,
    used: Mapping[str, str],
    kind: Kind,
    classes: tuple[str, ...] | None,
    problems: _Problems,
    notes: list[str],
) -> Table:
    """The table with all of its rows. The rows with problems are in `problems`."""
    number = len(raw.rows)
    samples = _normal(raw.columns["sample"]) if kind == "paths" else raw.columns["sample"]
    problems.add(_mask(samples.is_null()), used["sample"], "empty", lambda _: "is empty")
    labels, class_names = np.full(number, UNLABELED, np.int64), tuple(classes or ())
    if "label" in raw.columns:
        labels, class_names = _labels(raw.columns["label"], place, used["label"], classes, problems, notes)
    splits, groups, group_names, weights = None, None, tuple[str, ...](), None
    if "split" in raw.columns:
        splits = _splits(raw.columns["split"], used["split"], problems)
    if "group" in raw.columns:
        problems.add(_mask(raw.columns["group"].is_null()), used["group"], "empty", lambda _: "is empty")
        groups, names = _ids(raw.columns["group"])
        group_names = tuple(names)
    if "weight" in raw.columns:
        weights = _weights(raw.columns["weight"], used["weight"], problems)
    if kind == "paths":
        _refuse_repeated(samples, raw, used, class_names, labels, problems, notes)
    if kind == "texts":
        check_texts(samples, labels, class_names, raw.rows, used["sample"], problems)
    for name in raw.names:
        role = name.casefold()
        if role in ("split", "group", "weight") and role not in used:
            notes.append(f"the column {name} is not used; to use it, set {role}: {name}")
    return Table(
        place=place,
        samples=samples,
        labels=labels,
        class_names=class_names,
        splits=splits,
        groups=groups,
        group_names=group_names,
        weights=weights,
        rows=raw.rows,
        notes=(),
        dropped={},
    )


def _mask(array: "pa.Array") -> Mask:
    """A column of truth values, in which null is false."""
    import pyarrow.compute as pc

    mask: Mask = np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
    return mask


def _normal(paths: "pa.Array") -> "pa.Array":
    """Paths in one form: without `./`, without `//`; URIs are left as they are."""
    import pyarrow.compute as pc

    odd = pc.and_(pc.match_substring_regex(paths, r"(^|/)\.{0,2}/|/\.{0,2}$"), pc.invert(_is_uri(paths)))
    if not _mask(odd).any():
        return paths
    normal = [posixpath.normpath(path) for path in paths.filter(pc.fill_null(odd, False)).to_pylist()]
    return pc.replace_with_mask(paths, pc.fill_null(odd, False), _text_array(normal))


def _is_uri(paths: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.match_substring_regex(paths, r"^[A-Za-z][A-Za-z0-9+.-]*://")


def _text_array(texts: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def _ids(array: "pa.Array") -> tuple[Indices, list[str]]:
    """A number for each text, -1 for null, and the texts in the order of their numbers."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(array)
    ids = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return ids, encoded.dictionary.to_pylist()


def _labels(
    array: "pa.Array",
    place: str,
    column: str,
    classes: tuple[str, ...] | None,
    problems: _Problems,
    notes: list[str],
) -> tuple[Labels, tuple[str, ...]]:
    """The labels as ids into the names of the classes; -1 for a row without a label."""
    ids, texts = _ids(array)
    if len(texts) > MAX_CLASSES:
        raise InputError(
            f"{place}: column {column}: has {len(texts):,} different labels, such as {texts[0]!r}, which is more than"
            f" {MAX_CLASSES:,}; name the column of the labels with label: NAME"
        )
    if classes is None:
        names = _in_order(texts)
        problems.of_file += [f"{place}: column {column}: {line}" for line in _doubtful(names)]
        unknown = np.zeros(len(texts), bool)
        if len(names) > 1 and 0 < (numbers := sum(map(_is_number, names))) < len(names):
            words = next(name for name in names if not _is_number(name))
            notes.append(f"{numbers:,} of {len(names):,} labels are numbers, and others are words such as {words}")
    else:
        names = list(classes)
        known = {*names}
        unknown = np.array([text not in known for text in texts], bool)
        if unused := [name for name in names if name not in {*texts}]:
            notes.append(f"no row has the label {first_of(unused, NUM_NAMED)}")
    place_of = {name: position for position, name in enumerate(names)}
    position_of = np.array([*(place_of.get(text, UNLABELED) for text in texts), UNLABELED], np.int64)
    is_unknown = np.array([*unknown, False], bool)

    def hint(position: int) -> str:
        label = texts[ids[position]]
        near = get_close_matches(label, names, 1, 0.6)
        known = f"did you mean {near[0]}?" if near else f"they are {first_of(names, 10)}"
        return f"{label!r} is not one of the classes; {known}"

    problems.add(is_unknown[ids], column, "unknown label", hint)
    return position_of[ids], tuple(names)


def _in_order(texts: Sequence[str]) -> list[str]:
    """The names of classes in ascending order; numbers by their value."""
    if all(_is_whole(text) for text in texts):
        return sorted(texts, key=lambda text: (int(text), text))
    return sorted(texts)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.casefold() not in ("nan", "inf", "infinity")


def _doubtful(names: Sequence[str]) -> list[str]:
    """Lines about labels that are probably one label in two spellings: `1` and `1.0`, or look-alikes."""
    by_value: dict[float, list[str]] = {}
    for name in names:
        if _is_number(name):
            by_value.setdefault(float(name), []).append(name)
    lines = [
        f"the labels {' and '.join(map(repr, same))} are one number in different spellings; write it in one way"
        for same in by_value.values()
        if len(same) > 1
    ]
    return lines[:NUM_NAMED] + [
        f"the labels {' and '.join(map(ascii, same))} look alike; write them in one way"
        for same in look_alikes(names)[:NUM_NAMED]
    ]


def _splits(array: "pa.Array", column: str, problems: _Problems) -> npt.NDArray[np.int8]:
    ids, texts = _ids(array)
    known = {split: position for position, split in enumerate(SPLITS)}
    positions = np.array([*(known.get(split_of(text), -1) for text in texts), -1], np.int8)  # type: ignore[arg-type]
    problems.add(ids < 0, column, "empty", lambda _: "is empty; give train, test or val")
    problems.add(
        (ids >= 0) & (positions[ids] < 0),
        column,
        "unknown split",
        lambda position: f"{texts[ids[position]]!r} is no split; give train, test or val",
    )
    splits: npt.NDArray[np.int8] = positions[ids]
    return splits


def _weights(array: "pa.Array", column: str, problems: _Problems) -> Floats:
    import pyarrow as pa

    problems.add(_mask(array.is_null()), column, "empty", lambda _: "is empty; give a number above 0")
    filled = array.fill_null("1" if pa.types.is_large_string(array.type) else 1)
    try:
        values = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = np.array([_float(value) for value in filled.to_pylist()])
    weights: Floats = values.astype(np.float32)
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(weights) & (weights > 0))
    problems.add(bad, column, "no number above 0", lambda position: f"{array[position].as_py()!r} is no number above 0")
    weights[bad] = 1
    return weights


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _refuse_repeated(
    samples: "pa.Array",
    raw: _Raw,
    used: Mapping[str, str],
    class_names: Sequence[str],
    labels: Labels,
    problems: _Problems,
    notes: list[str],
) -> None:
    """Add a problem for each row whose path is in an earlier row, too."""
    ids, paths = _ids(samples)
    if len(paths) == int((ids >= 0).sum()):
        return
    first = np.full(len(paths), -1, np.int64)
    rows_with_path = np.flatnonzero(ids >= 0)[::-1]
    first[ids[rows_with_path]] = rows_with_path  # in reverse, so that the first row of each path stays
    earlier = np.where(ids >= 0, first[ids], np.arange(len(ids)))
    repeated = earlier != np.arange(len(ids))
    other = repeated & (labels != labels[earlier])

    def name(position: int) -> str:
        label = labels[position]
        return "no label" if label < 0 else f"the label {class_names[label]}"

    def contradiction(position: int) -> str:
        before = earlier[position]
        return (
            f"{paths[ids[position]]} is in row {raw.rows[before]}, too, with {name(before)} there and {name(position)}"
            " here"
        )

    def same(position: int) -> str:
        return f"{paths[ids[position]]} is in row {raw.rows[earlier[position]]}, too, with the same label"

    problems.add(other, used["sample"], "path with two labels", contradiction)
    if other.any():  # nobody knows which of the labels is right, so none of these rows can be used
        problems.is_bad[earlier[other]] = True
    problems.add(repeated & ~other, used["sample"], "path named twice", same)
