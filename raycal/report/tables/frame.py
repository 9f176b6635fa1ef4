"""Puts the rows of a table into a DataFrame with all its columns, even if there are no rows."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from raycal.report.stats.estimate import Estimate

Row = tuple[Any, ...]


def frame(columns: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    """The table with these columns and rows. Cells stay Python objects. An undefined cell is None, never NaN."""
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)


def interval(estimated: Estimate | None) -> Row:
    """The cells for the mean and both ends of the interval."""
    return (estimated.mean, estimated.low, estimated.high) if estimated else (None, None, None)
