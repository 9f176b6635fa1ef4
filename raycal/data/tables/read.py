"""Reads and checks a table."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from raycal.data.tables.checks import checked, mask_of
from raycal.data.tables.columns import Columns, Delimiter, Kind, OnProblem, Table
from raycal.data.tables.csv_file import read_csv
from raycal.data.tables.parquet_file import read_parquet
from raycal.data.tables.problems import NUM_NAMED, Problems
from raycal.data.tables.source import RawTable, TableFile, head_of
from raycal.errors import InputError, first_of
from raycal.filesystem import open_place


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
    file = TableFile(place, filesystem, path)
    chosen = None if classes is None else tuple(str(name) for name in classes)
    return _read(file, file.stamp(), columns, kind, delimiter, chosen, on_error)


@lru_cache(maxsize=2)
def _read(
    file: TableFile,
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
    is_parquet = file.path.endswith((".parquet", ".pq")) or head_of(file).startswith(b"PAR1")
    raw = read_parquet(file, columns, kind) if is_parquet else read_csv(file, columns, kind, delimiter)
    raw = _without_empty_rows(raw)
    if not len(raw.rows) and not raw.broken:
        raise InputError(f"{file.place}: has no rows")
    problems, notes = Problems(file.place, raw.rows), list(raw.notes)
    used = columns.used()
    table = checked(raw, file.place, used, kind, classes, problems, notes)
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


def _without_empty_rows(raw: RawTable) -> RawTable:
    """The rows that have a value in any used column."""
    import pyarrow as pa

    has_value = np.zeros(len(raw.rows), bool)
    for array in raw.columns.values():
        has_value |= mask_of(array.is_valid())
    if number := int((~has_value).sum()):
        raw.notes.append("1 row is empty" if number == 1 else f"{number:,} rows are empty")
        columns = {role: array.filter(pa.array(has_value)) for role, array in raw.columns.items()}
        return raw._replace(columns=columns, rows=raw.rows[has_value])
    return raw
