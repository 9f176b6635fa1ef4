"""The ledger as a table with one row per human interaction. The table holds no wall-clock time."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raycal.algorithm.records import Answer, Interaction, Kind

# A ledger file has at most this many values, over all columns. A file holds one iteration or a whole experiment, and
# the expert may see every sample of a large pool in each iteration.
MAX_VALUES = 10**8
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
        ("indices", pa.list_(pa.int64())),
    ]
)


def to_parquet(rows: Sequence[Interaction]) -> bytes:
    """The rows as a Parquet file; the same rows give the same bytes."""
    columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names}
    return _write(pa.table(columns, schema=SCHEMA))


def from_parquet(content: bytes) -> tuple[Interaction, ...]:
    """The rows of a file that `to_parquet` made. Purity and seconds have single precision, as in the file."""
    columns = [name for name in SCHEMA.names if name != "num_samples"]
    return tuple(map(_interaction, _read(content, columns).to_pylist()))


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
    return _write(pa.concat_tables(tables) if tables else SCHEMA.empty_table())


def _read(content: bytes, columns: list[str] | None = None) -> pa.Table:
    """The Parquet file as a table; raises ValueError if it is not a Parquet file or holds more than `MAX_VALUES`."""
    with pq.ParquetFile(io.BytesIO(content)) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        if sum(group.column(column).num_values for group in groups for column in range(group.num_columns)) > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values")
        return file.read(columns)


def _interaction(row: dict[str, Any]) -> Interaction:
    typed = {
        "kind": Kind(row["kind"]),
        "answer": Answer(row["answer"]),
        "indices": np.array(row["indices"], np.int64),
    }
    return Interaction(**row | typed)


def _write(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
