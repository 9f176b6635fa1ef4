"""Checks of the texts in a table, on whole columns."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Labels

if TYPE_CHECKING:
    import pyarrow as pa

# A text that is longer than a thick book is a file that was put into a cell by mistake.
MAX_CHARACTERS = 2_000_000

Mask = npt.NDArray[np.bool_]


class Problems(Protocol):
    """Collects problems of rows; see `raycal.data.tables`."""

    def add(self, bad: Mask, column: str, kind: str, text: Callable[[int], str]) -> None:
        """Add the problem of some rows."""


def check_texts(
    texts: "pa.Array", labels: Labels, class_names: Sequence[str], rows: Indices, column: str, problems: Problems
) -> None:
    """Add a problem for each row whose text is only white space, too long, or occurs with another label, too.

    Args:
        texts: R texts; null is not looked at.
        labels: (R,) ids into `class_names`, or -1.
        class_names: The names of the classes.
        rows: (R,) the row numbers, for messages.
        column: The name of the column of the texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    blank = _mask(pc.equal(pc.utf8_trim_whitespace(texts), pa.scalar("", texts.type)))
    problems.add(blank, column, "only spaces", lambda _: "has only spaces")
    lengths = pc.utf8_length(texts)
    problems.add(
        _mask(pc.greater(lengths, MAX_CHARACTERS)),
        column,
        "too long",
        lambda position: f"has {lengths[position].as_py():,} characters; at most {MAX_CHARACTERS:,} are possible",
    )
    ids = np.asarray(pc.fill_null(pc.dictionary_encode(texts).indices, -1).to_numpy(zero_copy_only=False), np.int64)
    usable = np.flatnonzero((ids >= 0) & (labels >= 0) & ~blank)
    if not len(usable):
        return
    first, other = (np.full(int(ids.max()) + 1, -1, np.int64) for _ in range(2))
    first[ids[usable[::-1]]] = usable[::-1]  # in reverse, so that the first row of each text stays
    differing = usable[labels[usable] != labels[first[ids[usable]]]]
    other[ids[differing[::-1]]] = differing[::-1]
    # Nobody knows which of the labels is right, so no row with such a text can be used.
    contradicting = (ids >= 0) & (labels >= 0) & (other[ids] >= 0)

    def contradiction(position: int) -> str:
        before = first[ids[position]]
        if labels[before] == labels[position]:
            before = other[ids[position]]
        there, here = class_names[labels[before]], class_names[labels[position]]
        return f"is the text of row {rows[before]}, too, with the label {there} there and {here} here"

    problems.add(contradicting, column, "text with two labels", contradiction)


def _mask(array: "pa.Array") -> Mask:
    """A column of truth values, in which null is false."""
    import pyarrow.compute as pc

    mask: Mask = np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
    return mask
