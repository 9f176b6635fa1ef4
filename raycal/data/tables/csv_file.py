"""Reads the columns of a CSV file as texts."""

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from raycal.algorithm.records import Indices
from raycal.data.tables.columns import Columns, Delimiter, Kind
from raycal.data.tables.source import BLOCK_BYTES, RawTable, TableFile, found_columns, head_of, stripped, without_chunks
from raycal.errors import InputError, one_line

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS: Mapping[Delimiter, str] = {"comma": ",", "semicolon": ";", "tab": "\t"}


def read_csv(file: TableFile, columns: Columns, kind: Kind, delimiter: Delimiter | None) -> RawTable:
    """The columns of a CSV file as texts.

    Raises:
        InputError: The file cannot be read, has another encoding, or lacks columns.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    head = head_of(file)
    encoding = _encoding(head, file.place)
    sign, names, notes = _header(head, encoding, file.place, columns, delimiter)
    found = found_columns(file.place, columns, [name.strip() for name in names])
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
    arrays = {role: without_chunks(table.column(name)) for role, name in wanted.items()}
    if (line := _open_quote(file, encoding, table, rows)) is not None:
        raise InputError(line)
    if kind != "texts":
        arrays["sample"] = stripped(arrays["sample"])
    for role in ("label", "split", "group", "weight"):
        if role in arrays:
            arrays[role] = stripped(arrays[role], notes, columns.used()[role], rows)
    return RawTable(arrays, rows, tuple(name.strip() for name in names), broken, notes)


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


def _refuse_bytes(file: TableFile, encoding: str) -> None:
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


def _open_quote(file: TableFile, encoding: str, table: "pa.Table", rows: Indices) -> str | None:
    """A line about a quote that is never closed, so that the last row has swallowed all rows that follow it."""
    if not table.num_rows or not any("\n" in str(column[-1].as_py()) for column in table.columns):
        return None
    quote, num_quotes = '"'.encode(encoding.replace("utf-16", "utf-16-le") if encoding == "utf-16" else encoding), 0
    with file.opened() as stream:
        while block := bytes(stream.read(BLOCK_BYTES)):
            num_quotes += block.count(quote)
    return f"{file.place}: row {rows[-1]}: a quote is never closed" if num_quotes % 2 else None
