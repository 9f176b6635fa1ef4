"""What a file of vectors and labels holds, after it has been checked: the vectors, labels, splits and groups."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Labels
from raycal.data.layout import split_of
from raycal.data.loaded import UNLABELED
from raycal.data.tables import MAX_CLASSES, SPLITS
from raycal.data.vectors import Array, Chunks, LocalFile, shape_problems, value_problems
from raycal.errors import InputError, first_of

NUM_NAMED = 5
# The names under which the arrays of an archive and the columns of a table are found if no option names them.
VECTORS = ("vectors", "embeddings", "features", "vector", "embedding", "X", "x")
LABELS = ("label", "labels", "y", "target", "targets")
CLASS_NAMES = ("class_names", "classes", "label_names", "target_names")


class Given(NamedTuple):
    """The options of a dataset that, besides the file, say what is read."""

    vectors: str | tuple[str, ...] | None
    label: str | None
    split: str | None
    group: str | None
    classes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Content:
    """What a file holds, after it has been checked.

    Attributes:
        place: The file and the array or column of the vectors, for messages.
        vectors: The vectors in the number format of the file.
        key: A value that changes whenever the values of the vectors may change.
        name: Names a value in a message, given its row and its column.
        labels: (S,) int64, ids into `class_names`; -1 for a vector without a label.
        class_names: The names of the K classes.
        splits: (S,) int8, the positions of the splits in `SPLITS`; None if they are not given.
        groups: (S,) the group of each vector; None if there are no groups.
        notes: What a user should know about how the file was read.
    """

    place: str
    vectors: Chunks
    key: dict[str, object]
    name: Callable[[int, int], str]
    labels: Labels
    class_names: tuple[str, ...]
    splits: npt.NDArray[np.int8] | None
    groups: Array | None
    notes: tuple[str, ...]


def checked(
    file: LocalFile,
    place: str,
    vectors: Chunks | None,
    values: dict[str, Array],
    places: dict[str, str],
    classes: tuple[str, ...] | None,
    problems: list[str],
    notes: list[str],
    array: str,
) -> Content:
    """The content of arrays.

    Args:
        file: The file of the vectors.
        place: The file and the array of the vectors, for messages.
        vectors: The vectors; None if they cannot be read.
        values: The labels, the splits and the groups, by role.
        places: The file and the array of each role, for messages.
        classes: The names of the classes, if they are given.
        problems: The problems that are known already.
        notes: What a user should know about the file.
        array: The name of the array of the vectors in its file.

    Raises:
        InputError: There are problems. The error has a line for each problem.
    """
    flat: dict[str, Array] = {}
    for role, one in values.items():
        if one.ndim == 2 and one.shape[1] == 1:
            one = one[:, 0]
        if one.ndim != 1:
            problems.append(f"{places[role]}: has the shape {one.shape}; give one value for each vector")
        elif vectors is not None and vectors.shape and len(one) != vectors.shape[0]:
            problems.append(f"{places[role]}: has {len(one):,} values for {vectors.shape[0]:,} vectors")
        else:
            flat[role] = one
    labels, class_names = np.empty(0, np.int64), tuple[str, ...]()
    if "label" in flat:
        try:
            labels, class_names = _label_ids(flat["label"], places["label"], classes, notes)
        except InputError as error:
            problems += error.problems
    splits = None
    if "split" in flat:
        splits = _split_ids(flat["split"], places["split"], problems)

    def name(row: int, column: int) -> str:
        return f"[{row}, {column}]"

    if vectors is not None:
        wrong = shape_problems(place, vectors)
        problems = [*wrong, *([] if wrong else value_problems(place, vectors, name)), *problems]
    if problems or vectors is None:
        raise InputError(*problems)
    return Content(
        place=place,
        vectors=vectors,
        key={"file": file.digest, "array": array},
        name=name,
        labels=labels,
        class_names=class_names,
        splits=splits,
        groups=texts(flat["group"]) if "group" in flat else None,
        notes=tuple(notes),
    )


def _label_ids(
    values: Array, place: str, classes: tuple[str, ...] | None, notes: list[str]
) -> tuple[Labels, tuple[str, ...]]:
    """The labels as ids into the names of the classes; -1 for a vector without a label.

    Raises:
        InputError: The labels cannot be used, with a line for each problem.
    """
    if values.dtype.kind not in "fiubUS":
        raise InputError(f"{place}: has the type {values.dtype}; labels should be texts or whole numbers")
    if values.dtype.kind == "b":
        values = np.where(values, "true", "false")
    is_number = values.dtype.kind in "fiu"
    if values.dtype.kind == "f":
        has_label = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            broken = values[has_label & (np.floor(values) != values)]
        if len(broken):
            raise InputError(
                f"{place}: has labels that are not whole, such as {broken[0]}; give texts or whole numbers"
            )
        values = np.where(has_label, values, 0).astype(np.int64)
    else:
        has_label = np.ones(len(values), np.bool_)
    if is_number:
        different = set(np.unique(values[has_label]).tolist())
        if -1 in different and min(different) == -1 and different != {-1, 1}:
            has_label = has_label & (values != -1)
    else:
        values = texts(values)
        has_label = values != ""
    unique, ids = np.unique(values[has_label], return_inverse=True)
    if not len(unique):
        raise InputError(f"{place}: no vector has a label; a simulated expert needs labels")
    if len(unique) > MAX_CLASSES:
        raise InputError(f"{place}: has {len(unique):,} different labels, more than {MAX_CLASSES:,}")
    names = tuple(str(one) for one in unique.tolist())
    position_of = np.arange(len(unique))
    if classes is not None:
        # Whole numbers are positions in the list of classes, unless the list has these numbers as names.
        by_position = is_number and not {*names} <= {*classes}
        known = {str(place): place for place in range(len(classes))} if by_position else {}
        known = known or {name: place for place, name in enumerate(classes)}
        unknown = [name for name in names if name not in known]
        if unknown:
            be = f"positions from 0 to {len(classes) - 1}" if by_position else f"among {first_of(classes, NUM_NAMED)}"
            raise InputError(
                f"{place}: has labels that are no class ({first_of(unknown, NUM_NAMED)}); they should be {be}"
            )
        position_of, names = np.array([known[name] for name in names]), classes
    if len(names) == 1:
        raise InputError(f"{place}: has only the label {names[0]}; at least two classes are needed")
    labels = np.full(len(values), UNLABELED, np.int64)
    labels[has_label] = position_of[ids]
    if number := int((~has_label).sum()):
        notes.append(left_out(number))
    return labels, names


def _split_ids(values: Array, place: str, problems: list[str]) -> npt.NDArray[np.int8]:
    """The position of each vector's split in `SPLITS`; values that are no split are added to the problems."""
    if values.dtype.kind not in "US":
        problems.append(f"{place}: has the type {values.dtype}; splits should be words such as train, test and val")
        return np.zeros(len(values), np.int8)
    words, ids = np.unique(texts(values), return_inverse=True)
    known = [split_of(word) for word in words.tolist()]
    if wrong := [repr(word) for word, split in zip(words.tolist(), known, strict=True) if split is None]:
        count = int(np.isin(ids, [place for place, split in enumerate(known) if split is None]).sum())
        problems.append(
            f"{place}: {count:,} values are no split ({first_of(wrong, NUM_NAMED)}); give train, test or val"
        )
        return np.zeros(len(values), np.int8)
    return np.array([SPLITS.index(split) for split in known if split is not None], np.int8)[ids]


def left_out(number: int) -> str:
    """A note about the vectors without a label."""
    return "1 vector without a label is left out" if number == 1 else f"{number:,} vectors without a label are left out"


def texts(values: Array) -> npt.NDArray[np.str_]:
    """Values as texts without spaces around them."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return np.char.strip(values.astype(np.str_))


def first_name(names: Sequence[str], among: Container[str]) -> str | None:
    """The first of some usual names that there is."""
    return next((name for name in names if name in among), None)
