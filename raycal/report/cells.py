"""Formats tables for reading on a screen: short numbers, a mean and its interval in one cell, no empty columns."""

import re
from typing import Any

import pandas as pd

EMPTY = "\N{EN DASH}"
_FIGURE = r"[-+]?[0-9][0-9,.]*(e-?[0-9]+)?"
_NUMBER = re.compile(rf"{_FIGURE}( ± {_FIGURE}| \[{_FIGURE}, {_FIGURE}\]| of {_FIGURE})?")
_TAILS = ("sd", "low", "high")


def cell_text(value: Any) -> str:
    """The text of one cell; a missing value becomes a dash."""
    if value is None or value == "" or pd.isna(value):
        return EMPTY
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    if pd.api.types.is_integer(value):
        return f"{value:,}"
    return _decimal(float(value)) if pd.api.types.is_float(value) else str(value)


def kind(cells: list[str]) -> str:
    """The CSS class of a column: `number`, `words` for long text, or empty for any other content."""
    filled = [text for text in cells if text not in (EMPTY, "-")]
    if filled and all(_NUMBER.fullmatch(text) for text in filled):
        return "number"
    return "words" if max(map(len, filled), default=0) > 36 else ""


def readable(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The cells of each column. The columns `x`, `x low` and `x high` become one column; columns that carry no
    information are dropped."""
    names = list(map(str, frame.columns))
    columns: dict[str, list[str]] = {}
    at = 0
    while at < len(names):
        end = at + 1
        while end < len(names) and _tail(names[end]):
            end += 1
        heads, *others = ([cell_text(value) for value in frame.iloc[:, column]] for column in range(at, end))
        joined = _joined(names[at], heads, dict(zip(map(_tail, names[at + 1 : end]), others, strict=True)))
        is_measured = any(map(pd.api.types.is_float, frame.iloc[:, at]))  # Counts are integers.
        columns |= {
            name: cells for name, cells in joined.items() if not _says_nothing(name, cells, is_measured=is_measured)
        }
        at = end
    return columns


def _tail(name: str) -> str:
    """The suffix (`sd`, `low` or `high`) of a column that qualifies the column before it; empty for other columns."""
    last = name.rpartition(" ")[2]
    return last if last in _TAILS else ""


def _says_nothing(name: str, cells: list[str], *, is_measured: bool) -> bool:
    """Whether a column is empty, has only counts of 0, or names the only dataset.

    A measured 0 is information, and so is seed 0.
    """
    nothing = {EMPTY} if is_measured or name == "seed" else {EMPTY, "0"}
    return not set(cells) - nothing or (name == "dataset" and len(set(cells)) == 1)


def _joined(name: str, heads: list[str], tails: dict[str, list[str]]) -> dict[str, list[str]]:
    """Merge a value column with its standard deviation or its interval."""
    if "sd" in tails:
        cells = [head if sd == EMPTY else f"{head} ± {sd}" for head, sd in zip(heads, tails["sd"], strict=True)]
        return {f"{name} ± sd" if cells != heads else name: cells}
    if tails.keys() == {"low", "high"}:
        ends = zip(heads, tails["low"], tails["high"], strict=True)
        cells = [head if low == EMPTY else f"{head} [{low}, {high}]" for head, low, high in ends]
        return {f"{name} [95 %]" if cells != heads else name: cells}
    return {name: heads} | {f"{name} {tail}": cells for tail, cells in tails.items()}


def _decimal(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.2g}"
    if abs(value) < 1:
        return f"{value:.3f}"
    is_long = abs(value) >= 100 or (abs(value) >= 10 and value.is_integer())
    return f"{value:,.0f}" if is_long else f"{value:.2f}"
