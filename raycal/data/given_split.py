"""The split that a file gives row by row, and what is missing in the splits of a dataset."""

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Labels
from raycal.data.layout import Split
from raycal.data.split import Rows
from raycal.data.tables import SPLITS
from raycal.errors import first_of

NUM_NAMED = 5


def given_rows(splits: npt.NDArray[np.int8], rows: Indices, kind: str) -> tuple[Rows, list[str]]:
    """The rows of the training and the test split, either of which may be empty, and notes about them.

    If there is no test split, the validation split takes its place.

    Args:
        splits: (n,) The position of each row's split in `SPLITS`.
        rows: (n,) The rows.
        kind: What the rows are, as a plural, for the notes.
    """
    by_split = {split: rows[splits == position] for position, split in enumerate(SPLITS)}
    train, test, val = by_split[Split.TRAIN], by_split[Split.TEST], by_split[Split.VAL]
    if not len(val):
        return Rows(train, test), []
    if len(test):
        return Rows(train, test), [f"the {len(val):,} {kind} of the validation split are not used"]
    note = f"there is no test split, so the {len(val):,} {kind} of the validation split are the test split"
    return Rows(train, val), [note]


def empty_splits(rows: Rows) -> str:
    """The names of the splits without a row, such as `train or the test`; empty if both have rows."""
    return " or the ".join(name for name, part in (("train", rows.train), ("test", rows.test)) if not len(part))


def missing_classes(labels: Labels, class_names: tuple[str, ...], rows: Rows, noun: str) -> tuple[str, ...]:
    """A line for each split that has no sample of some classes.

    Args:
        labels: (S,) ids into `class_names`.
        class_names: The names of the K classes.
        rows: The rows of both splits.
        noun: What a sample is, such as `image`.
    """
    lines = []
    for split, part, so in (
        ("training", rows.train, "no model can learn them"),
        ("test", rows.test, "its accuracy says nothing about them"),
    ):
        sizes = np.bincount(labels[part], minlength=len(class_names))
        if missing := [class_names[label] for label in np.flatnonzero(sizes == 0)]:
            named = first_of(missing, NUM_NAMED)
            number = len(class_names)
            lines.append(f"the {split} split has no {noun} of {len(missing)} of {number} classes ({named}): {so}")
    return tuple(lines)
