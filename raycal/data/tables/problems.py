"""Problems of the rows of a table."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from raycal.algorithm.records import Indices
from raycal.data.tables.columns import Mask

NUM_NAMED = 5  # the number of rows that are named for each kind of problem


class Problems:
    """Collects problems of rows.

    Args:
        place: The file, for messages.
        rows: (R,) the row numbers.
    """

    def __init__(self, place: str, rows: Indices) -> None:
        self._place, self._rows = place, rows
        self._named: list[tuple[int, str]] = []
        self._more: list[str] = []
        self.of_file: list[str] = []  # problems that concern more than single rows
        self.is_bad = np.zeros(len(rows), bool)
        self.counts: Counter[str] = Counter()

    @property
    def lines(self) -> list[str]:
        """The problems of single rows in the order of the rows, and then the numbers of further rows."""
        return [line for _, line in sorted(self._named, key=lambda named: named[0])] + self._more

    def add(self, bad: Mask, column: str, kind: str, text: Callable[[int], str]) -> None:
        """Add the problem of some rows.

        Args:
            bad: (R,) bool, whether each row has the problem.
            column: The name of the column.
            kind: What is wrong with the cells, in a few words, such as `empty`; it follows "cells that are".
            text: What is wrong with the cell of one position, in the range of 0 to R - 1.
        """
        positions = np.flatnonzero(bad)
        if not len(positions):
            return
        self.is_bad |= bad
        self.counts[kind] += len(positions)
        for position in positions[:NUM_NAMED].tolist():
            row = int(self._rows[position])
            self._named.append((row, f"{self._place}: row {row}, column {column}: {text(position)}"))
        if len(positions) > NUM_NAMED:
            self._more.append(
                f"{self._place}: column {column}: {len(positions) - NUM_NAMED:,} more rows ({kind}), the last in row"
                f" {self._rows[positions[-1]]}"
            )
