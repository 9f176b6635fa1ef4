"""Reads the columns of a Parquet file."""

from typing import TYPE_CHECKING

import numpy as np

from raycal.data.tables.columns import Columns, Kind
from raycal.data.tables.source import RawTable, TableFile, found_columns, stripped, without_chunks
from raycal.errors import InputError, one_line

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(file: TableFile, columns: Columns, kind: Kind) -> RawTable:
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
            found = found_columns(file.place, columns, names)
            wanted = {role: names[position] for role, position in found.items()}
            table = content.read(columns=list(dict.fromkeys(wanted.values())))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{file.place}: is not a Parquet file that can be read ({one_line(error)})") from error
    rows, notes, problems = np.arange(1, table.num_rows + 1), list[str](), list[str]()
    arrays: dict[str, pa.Array] = {}
    for role, name in wanted.items():
        array = without_chunks(table.column(name))
        if role != "weight" and (role, kind) != ("sample", "vectors"):
            try:
                array = _as_text(array)
            except (TypeError, ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                problems.append(f"{file.place}: column {name}: {one_line(error)}")
                continue
            if (role, kind) != ("sample", "texts"):
                array = stripped(array, notes, name, rows)
        arrays[role] = array
    if problems:
        raise InputError(*problems)
    return RawTable(arrays, rows, names, {}, notes)


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
