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

from raycal.data.tables.columns import (
    MAX_CLASSES,
    SPLITS,
    Columns,
    Delimiter,
    Mask,
    OnProblem,
    Table,
)
from raycal.data.tables.read import read_table

__all__ = ["MAX_CLASSES", "SPLITS", "Columns", "Delimiter", "Mask", "OnProblem", "Table", "read_table"]
