"""Reads and writes Parquet files that are in memory as a whole.

pyarrow reads with threads of its own by default. A thread that still releases the bytes of a file while Python ends
aborts the process with "terminate called without an active exception", after all work is done
(https://github.com/apache/arrow/issues/34314). Therefore nothing here starts a thread.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def opened(content: bytes) -> Iterator[pq.ParquetFile]:
    """A Parquet file whose metadata can be checked before `columns_of` reads it.

    Raises:
        ValueError: The content is not a Parquet file.
    """
    with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
        yield file


def columns_of(file: pq.ParquetFile, names: Sequence[str] | None = None) -> pa.Table:
    """The columns of an opened file; all of them without `names`."""
    return file.read(None if names is None else list(names), use_threads=False)


def table_of(content: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of a schema.

    Raises:
        KeyError: A column is missing.
        ValueError: The content is not a Parquet file, or a column has values that do not fit the schema.
    """
    with opened(content) as file:
        return columns_of(file, schema.names).select(schema.names).cast(schema)


def parquet_of(table: pa.Table) -> bytes:
    """The table as a Parquet file, compressed by zstd."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def arrays_of(content: bytes | None, schema: pa.Schema) -> dict[str, npt.NDArray[Any]] | None:
    """The columns of a Parquet file as arrays. None if there is no file, or if it is damaged."""
    if content is None:
        return None
    try:
        table = table_of(content, schema)
        return {name: table[name].to_numpy() for name in schema.names}
    except (ValueError, OSError, KeyError, TypeError):
        return None
