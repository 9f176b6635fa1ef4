"""Reads vectors and what belongs to them from Parquet files."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from raycal.data.tables import Columns, Table, read_table
from raycal.data.vectors import Chunks, ListColumn, LocalFile, NumericColumns, shape_problems, value_problems
from raycal.errors import InputError, first_of

if TYPE_CHECKING:
    import pyarrow as pa


from raycal.data.vector_content import LABELS, NUM_NAMED, VECTORS, Content, Given, first_name, left_out

# Names of columns that are never part of a vector, although the columns may hold numbers.
NO_VALUES = (*LABELS, "split", "group", "groups", "weight", "id", "index", "__index_level_0__")


@lru_cache(maxsize=4)
def read_parquet(file: LocalFile, given: Given) -> Content:
    """The content of a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.place}: is not a Parquet file that can be read ({error})") from error
    label = given.label or first_name(LABELS, schema.names)
    if label is None:
        known = first_of(schema.names, 20)
        raise InputError(f"{file.place}: has no labels; name their column with label: NAME (it has {known})")
    columns = _vector_columns(file, schema, given, label)
    roles = Columns(sample=columns[0], label=label, split=given.split, group=given.group)
    table, problems = _table(file.place, roles, given.classes)
    vectors, place, name = _vectors_of(file, table, columns, is_list=pa.types.is_nested(schema.field(columns[0]).type))
    wrong = shape_problems(place, vectors)
    problems = [*problems, *(wrong or value_problems(place, vectors, name))]
    if not problems and len(table.class_names) == 1:
        problems.append(f"{file.place}: column {label}: has only the label {table.class_names[0]}; two are needed")
    if not problems and not (table.labels >= 0).any():
        problems.append(f"{file.place}: column {label}: has no label; a simulated expert needs labels")
    if problems:
        raise InputError(*problems)
    number = int((table.labels < 0).sum())
    return Content(
        place=place,
        vectors=vectors,
        key={"file": file.digest, "columns": list(columns)},
        name=name,
        labels=table.labels,
        class_names=table.class_names,
        splits=table.splits,
        groups=None if table.groups is None else np.array(table.group_names)[table.groups],
        notes=(*table.notes, *([left_out(number)] if number else [])),
    )


def _table(place: str, columns: Columns, classes: tuple[str, ...] | None) -> tuple[Table, list[str]]:
    """The labels, splits and groups, and the problems of their rows. If there are problems, the table has only the rows
    without problems, so that the vectors can be checked, too.
    """
    try:
        return read_table(place, columns, kind="vectors", classes=classes), []
    except InputError as error:
        try:
            return read_table(place, columns, kind="vectors", classes=classes, on_error="skip"), list(error.problems)
        except InputError:
            raise error from None


def _vector_columns(file: LocalFile, schema: "pa.Schema", given: Given, label: str) -> tuple[str, ...]:
    """The column with lists, or the numeric columns, that hold the vectors.

    Raises:
        InputError: There are no such columns, or it is not clear which columns hold the vectors.
    """
    from pyarrow import types

    if given.vectors is not None:
        names = given.vectors if isinstance(given.vectors, tuple) else (given.vectors,)
        missing = [name for name in names if name not in schema.names]
        if missing or not names:
            raise InputError(
                f"{file.place}: has no column {first_of(missing, NUM_NAMED)} for the vectors; it has"
                f" {first_of(schema.names, 20)}"
            )
        if len(names) > 1 and (no := [name for name in names if not _is_number(schema.field(name).type)]):
            raise InputError(f"{file.place}: the columns {first_of(no, NUM_NAMED)} are not numeric")
        return names
    lists = [name for name in schema.names if types.is_nested(schema.field(name).type)]
    named = first_name(VECTORS, lists)
    if named is not None or len(lists) == 1:
        return (named or lists[0],)
    other = {label, given.split, given.group, *NO_VALUES}
    numeric = tuple(name for name in schema.names if name not in other and _is_number(schema.field(name).type))
    if lists or not numeric:
        raise InputError(
            f"{file.place}: it is not clear which column has the vectors; name it with vectors: NAME (it has"
            f" {first_of(schema.names, 20)})"
        )
    return numeric


def _is_number(kind: "pa.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind))


def _vectors_of(
    file: LocalFile, table: Table, columns: tuple[str, ...], *, is_list: bool
) -> tuple[Chunks, str, Callable[[int, int], str]]:
    """The vectors of a table, their place in words, and a function that names one of their values in a message."""
    rows = table.rows
    if is_list or (len(columns) == 1 and not is_list and not _is_number(table.samples.type)):
        place = f"{file.place}: column {columns[0]}"
        return ListColumn(place, table.samples, rows), place, lambda row, at: f"row {rows[row]} at position {at}"
    return NumericColumns(file, columns, rows), file.place, lambda row, at: f"row {rows[row]}, column {columns[at]}"
