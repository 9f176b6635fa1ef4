"""The ledger as a table with one row per human interaction. The table holds no wall-clock time."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raycal.algorithm.records import Answer, Indices, Interaction, Kind
from raycal.storage import parquet
from raycal.storage.parquet import parquet_of

# A ledger file may have this many values, over all columns, however small the file is. A file holds one iteration or a
# whole experiment, and the expert may see every sample of a large pool in each iteration. A file with more values is
# read only if it is large, too: different indices take more than a quarter of a byte each.
MAX_VALUES = 10**8
MAX_VALUES_PER_BYTE = 4
INDICES = "indices"
SCHEMA = pa.schema(
    [
        ("iteration", pa.int32()),
        ("step", pa.int8()),
        ("interaction", pa.int64()),
        ("kind", pa.string()),
        ("answer", pa.string()),
        ("label", pa.int32()),
        ("num_samples", pa.int32()),
        ("purity", pa.float32()),
        ("wrong", pa.int32()),
        ("seconds", pa.float32()),
        (INDICES, pa.list_(pa.int64())),
    ]
)


def to_parquet(rows: Sequence[Interaction]) -> bytes:
    """The rows as a Parquet file; the same rows give the same bytes."""
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names if name != INDICES}
    # One array of all indices takes less time and memory than one array per row.
    ends = np.cumsum([0, *(row.num_samples for row in rows)])
    indices = np.concatenate([row.indices for row in rows]) if rows else np.empty(0, np.int64)
    columns[INDICES] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(indices, pa.int64()))
    return parquet_of(pa.table(columns, schema=SCHEMA))


def from_parquet(content: bytes) -> tuple[Interaction, ...]:
    """The rows of a file that `to_parquet` made. Purity and seconds have single precision, as in the file. The indices
    cannot be written to."""
    table = _read(content, [name for name in SCHEMA.names if name != "num_samples"])
    lists = table[INDICES].combine_chunks()
    # As Python objects, the indices of a large pool would take five times the memory.
    indices = np.split(lists.flatten().to_numpy(), lists.offsets.to_numpy()[1:-1] - lists.offsets[0].as_py())
    rows = table.drop_columns([INDICES]).to_pylist()
    return tuple(_interaction(row, indices[number]) for number, row in enumerate(rows))


def to_table(content: bytes) -> pa.Table:
    """A file that `to_parquet` or `join` made, as an Arrow table with the columns of `SCHEMA`.

    Raises:
        ValueError: The content is not a ledger, or it has far more values than its size suggests.
    """
    table = _read(content)
    if table.column_names != SCHEMA.names:
        raise ValueError(f"its columns are {table.column_names}")
    return table


def join(parts: Iterable[bytes]) -> bytes:
    """Several ledger files joined into one Parquet file."""
    return joined([to_table(part) for part in parts])


def joined(tables: Sequence[pa.Table]) -> bytes:
    """Several tables that `to_table` made, joined into one Parquet file."""
    return parquet_of(pa.concat_tables(tables) if tables else SCHEMA.empty_table())


def _read(content: bytes, columns: list[str] | None = None) -> pa.Table:
    """The Parquet file as a table; raises ValueError if it is not a Parquet file or holds more values than
    a file of its size may hold."""
    with parquet.opened(content) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        most = max(MAX_VALUES, MAX_VALUES_PER_BYTE * len(content))
        if sum(group.column(column).num_values for group in groups for column in range(group.num_columns)) > most:
            raise ValueError(f"more than {most:,} values")
        return parquet.columns_of(file, columns)


def _interaction(row: dict[str, Any], indices: Indices) -> Interaction:
    typed = {"kind": Kind(row["kind"]), "answer": Answer(row["answer"]), INDICES: indices}
    return Interaction(**row | typed)
