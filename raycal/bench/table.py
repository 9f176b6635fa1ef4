"""Formats figures as a table for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from raycal.bench.figure import Figure

HEADER = ("benchmark", "figure", "value", "", "goal", "")


def lines(figures: Sequence[Figure]) -> list[str]:
    """The lines of the table: a header, then one line per figure with its value, its goal and whether it is met."""
    rows = [HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return [
        "  ".join(
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def as_json(figures: Sequence[Figure], about: Mapping[str, Any]) -> str:
    """The facts about the run (machine, versions, date, command) and all figures with their arms and settings."""
    return json.dumps({**about, "figures": [figure.record() for figure in figures]}, indent=2) + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    goal = "" if figure.goal is None else str(figure.goal)
    return (figure.benchmark, figure.name, f"{figure.value:,.4g}", figure.unit, goal, figure.verdict)
