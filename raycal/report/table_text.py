"""Writes tables as text: CSV for computation, LaTeX for print. The same table always gives the same bytes."""

import csv
import io
from typing import Any

import pandas as pd

from raycal.report.stats.estimate import number

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "…": r"\ldots{}",
        "±": r"$\pm$",
        **{character: f"\\{character}" for character in "&%$#_"},
    }
)


def to_csv(table: pd.DataFrame) -> str:
    """Format a table as comma-separated values; floats have ten digits, and undefined cells are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.itertuples(index=False, name=None))
    return text.getvalue()


def to_latex(table: pd.DataFrame) -> str:
    """Format a table as a LaTeX `tabular` with booktabs rules.

    Numbers are aligned to the right, an undefined cell is a dash, and all text is escaped.
    """
    rows = list(table.itertuples(index=False, name=None))
    columns = [[row[column] for row in rows] for column in range(len(table.columns))]
    lines = [
        rf"\begin{{tabular}}{{{''.join(_alignment(cells) for cells in columns)}}}",
        r"\toprule",
        _latex_row([_escape(str(name)) for name in table.columns]),
        r"\midrule",
        *(_latex_row([_latex_cell(cell) for cell in row]) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _csv_cell(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.10g}" if isinstance(cell, float) else str(cell)


def _alignment(cells: list[Any]) -> str:
    defined = [cell for cell in cells if cell is not None]
    return "r" if defined and all(isinstance(cell, int | float) for cell in defined) else "l"


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Any) -> str:
    if cell is None or cell == "":
        return "--"
    return number(cell) if isinstance(cell, int | float) else _escape(str(cell))


def _escape(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)
