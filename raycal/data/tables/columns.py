"""The columns that are read from a table, and the rows of a table that was read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data.layout import Split

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["paths", "texts", "vectors"]
OnProblem = Literal["refuse", "skip"]
Delimiter = Literal["comma", "semicolon", "tab"]

MAX_CLASSES = 50_000
UNLABELED = -1
SPLITS = (Split.TRAIN, Split.TEST, Split.VAL)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns of a table; None for a column that is not used.

    Attributes:
        sample: The path, the text or the vector.
        label: The label.
        split: The split of the row: words such as `train`, `test` and `val`.
        group: What must not be torn apart by a split, such as the patient or the video.
        weight: The weight of the sample's loss, above 0.
    """

    sample: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    weight: str | None = None

    def used(self) -> dict[str, str]:
        """The names of the used columns by their roles, which are the names of the attributes."""
        roles = ("sample", "label", "split", "group", "weight")
        return {role: name for role in roles if (name := getattr(self, role)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The rows of a table that can be used.

    Attributes:
        place: The file, as the user gave it.
        samples: R paths or texts (large_string), or R vectors as they are stored.
        labels: (R,) int64, ids into `class_names`; -1 for a row without a label.
        class_names: The names of the K classes: the given ones, or those in the table in ascending order.
        splits: (R,) int8, the positions of the splits in `SPLITS`. None if there is no such column.
        groups: (R,) int64, a number for each group. None if there is no such column.
        group_names: The name of each group.
        weights: (R,) float32 above 0. None if there is no such column.
        rows: (R,) int64, the row number in the file.
        notes: What a user should know about how the table was read, one line per note.
        dropped: The number of rows that were left out, by reason.
    """

    place: str
    samples: "pa.Array"
    labels: Labels
    class_names: tuple[str, ...]
    splits: npt.NDArray[np.int8] | None
    groups: Indices | None
    group_names: tuple[str, ...]
    weights: Floats | None
    rows: Indices
    notes: tuple[str, ...]
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, kept: Mask) -> "Table":
        """The table with only some of its rows."""
        return self if kept.all() else self.in_order(np.flatnonzero(kept))

    def in_order(self, positions: Indices) -> "Table":
        """The table with only the rows at these positions, in the order of the positions."""
        import pyarrow as pa

        return replace(
            self,
            samples=self.samples.take(pa.array(positions)),
            labels=self.labels[positions],
            splits=None if self.splits is None else self.splits[positions],
            groups=None if self.groups is None else self.groups[positions],
            weights=None if self.weights is None else self.weights[positions],
            rows=self.rows[positions],
        )

    def without(self, dropped: Mask, reason: str, note: str) -> "Table":
        """The table without some rows, which are counted under a reason and described in a note."""
        if not dropped.any():
            return self
        counts = {**self.dropped, reason: self.dropped.get(reason, 0) + int(dropped.sum())}
        return replace(self.take(~dropped), notes=(*self.notes, note), dropped=counts)
