"""Vectors with labels from a file, such as embeddings that another program has computed."""

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Labels
from raycal.data.given_split import empty_splits, given_rows, missing_classes
from raycal.data.image_dataset import DatasetInfo, datasets
from raycal.data.layout import split_of
from raycal.data.loaded import UNLABELED, VectorDataset
from raycal.data.split import Fraction, Rows, WithSubset, random_split, refuse_torn_groups
from raycal.data.tables import MAX_CLASSES, SPLITS, Columns, Table, read_table
from raycal.data.vectors import (
    PICKLED,
    Archive,
    Array,
    Chunks,
    ListColumn,
    LocalFile,
    Mapped,
    Member,
    NumericColumns,
    as_float32,
    local_file,
    shape_problems,
    value_problems,
)
from raycal.errors import InputError, first_of
from raycal.registry import Kind

if TYPE_CHECKING:
    import pyarrow as pa

TEST_FRACTION = 0.2
NUM_NAMED = 5
# The names under which the arrays of an archive and the columns of a table are found if no option names them.
VECTORS = ("vectors", "embeddings", "features", "vector", "embedding", "X", "x")
LABELS = ("label", "labels", "y", "target", "targets")
CLASS_NAMES = ("class_names", "classes", "label_names", "target_names")
# Names of columns that are never part of a vector, although the columns may hold numbers.
NO_VALUES = (*LABELS, "split", "group", "groups", "weight", "id", "index", "__index_level_0__")


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


@datasets("embeddings")
@dataclass(kw_only=True)
class Embeddings(WithSubset):
    """Vectors and their labels, in a file with the suffix `.npy`, `.npz` or `.parquet`.

    The file may be on this machine or in an object store, such as `s3://bucket/vectors.npz`. An `.npy` file has the
    vectors alone, as the rows of a matrix; `label`, `split` and `group` then name files: `.npy` files, or texts with
    one value in each line. In an `.npz` file these options name arrays, and in a Parquet file columns. A Parquet file
    has the vectors in a column of lists, or has a numeric column for each value.

    Labels are texts or whole numbers. Vectors without a label (an empty text, NaN or null, or -1 besides numbers from
    0) are left out and counted. Values that are NaN, infinite, or too large for float32 are refused, and so are Python
    objects, because reading them can run code.

    A matrix of float32 in an `.npy` file is memory-mapped as it is. From other files a copy as float32 is written into
    the cache folder once.

    Args:
        file: The file.
        vectors: The array or the column of the vectors, or a list of numeric columns. None means that raycal finds it
            by its usual name or its type.
        label: The array, the column or the file of the labels. None means that raycal looks for a usual name; an `.npy`
            file then has no labels.
        split: The array, the column or the file of the splits: words such as `train`, `test` and `val`. Rows of `val`
            are not used, except if there is no `test` row. None means that the test split is drawn.
        group: The array, the column or the file of the groups, such as the patients. All vectors of a group are put
            into the same split.
        classes: The names of the classes. If all labels are whole numbers, they are positions in this list. A label
            that is not in the list is a problem.
        test_fraction: The share of vectors in the test split, if it is drawn with the experiment's seed. Groups stay
            whole, so the share is as near to it as the groups allow.
    """

    kind: ClassVar[Kind] = "vectors"

    file: str
    vectors: str | list[str] | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    classes: list[str | int] | None = None
    test_fraction: Fraction = TEST_FRACTION

    def inspect(self) -> DatasetInfo:
        """The classes and the sizes of the splits. The file is read and checked, but not converted."""
        content = self._content()
        rows, notes = self._rows(content)
        width = content.vectors.shape[1]
        sizes = np.bincount(content.labels[content.labels >= 0], minlength=len(content.class_names))
        return DatasetInfo(
            name=posixpath.basename(self.file),
            num_train=len(rows.train),
            num_test=len(rows.test),
            num_classes=len(content.class_names),
            class_names=content.class_names,
            class_sizes=tuple(sizes.tolist()),
            notes=(f"each vector has {width:,} {'value' if width == 1 else 'values'}", *notes),
            warnings=missing_classes(content.labels, content.class_names, rows, "vector"),
            kind=self.kind,
        )

    def load(self, *, content: str | None = None) -> VectorDataset:
        """The vectors and the splits; `content` is ignored, because the vectors do not come from one file each."""
        found = self._content()
        rows, _ = self._rows(found)
        return VectorDataset(
            vectors=as_float32(found.vectors, found.key, found.place, found.name),
            labels=found.labels,
            train_rows=rows.train,
            test_rows=rows.test,
            class_names=found.class_names,
        )

    def _content(self) -> Content:
        """The content of the file.

        Raises:
            InputError: The file cannot be used, with a line for each of its problems.
        """
        vectors = tuple(self.vectors) if isinstance(self.vectors, list) else self.vectors
        classes = None if self.classes is None else tuple(str(name) for name in self.classes)
        given = Given(vectors, self.label, self.split, self.group, classes)
        path = self.file.partition("?")[0]
        if path.endswith((".parquet", ".pq")):
            return _read_parquet(local_file(self.file, "file"), given)
        if not path.endswith((".npy", ".npz")):
            raise InputError(f"{self.file}: should be a file with the suffix .npy, .npz or .parquet")
        if isinstance(vectors, tuple) or (vectors is not None and path.endswith(".npy")):
            may = "one array" if path.endswith(".npz") else "no array, because an .npy file has only one"
            raise InputError(f"{self.file}: vectors should name {may}")
        file = local_file(self.file, "file")
        if path.endswith(".npz"):
            return _read_npz(file, given)
        others, problems = dict[str, LocalFile](), list[str]()
        if given.label is None:
            problems.append(f"{self.file}: has no labels; name the file that has them with label: FILE")
        for role, place in (("label", self.label), ("split", self.split), ("group", self.group)):
            if place is not None:
                try:
                    others[role] = local_file(place, role)
                except InputError as error:
                    problems += error.problems
        if problems:
            raise InputError(*problems)
        return _read_npy(file, tuple(others.items()), given)

    def _rows(self, content: Content) -> tuple[Rows, tuple[str, ...]]:
        """The rows of the splits, and the notes about the file and the splits.

        Raises:
            InputError: A split would be empty, or a group is in both splits.
        """
        labeled, notes = np.flatnonzero(content.labels >= 0), list(content.notes)
        if content.splits is None:
            groups = None if content.groups is None else content.groups[labeled]
            drawn = random_split(
                len(labeled),
                test_fraction=self.test_fraction,
                seed=self.seed,
                name=self.file,
                groups=groups,
                kind=self.kind,
            )
            rows = Rows(labeled[drawn.train], labeled[drawn.test])
        else:
            rows, about_splits = given_rows(content.splits[labeled], labeled, self.kind)
            notes += about_splits
            if lacking := empty_splits(rows):
                raise InputError(
                    f"{self.file}: no vector with a label is in the {lacking} split; add some, or leave out the"
                    " setting split, so that the test split is drawn"
                )
            if content.groups is not None:
                refuse_torn_groups(rows, content.groups, self.file)
            if self.test_fraction != TEST_FRACTION:
                notes.append("test_fraction is not used: the file has the split")
        return self.subset(rows, self.file), tuple(notes)


# --------------------------------------------------------------------------------------------------------------- numpy


@lru_cache(maxsize=4)
def _read_npy(file: LocalFile, others: tuple[tuple[str, LocalFile], ...], given: Given) -> Content:
    """The content of an `.npy` file and of the files beside it. The content is kept in memory until the file
    changes.
    """
    problems, values = list[str](), dict[str, Array]()
    for role, other in others:
        try:
            values[role] = Mapped(other).array if other.place.endswith(".npy") else _lines(other)
        except InputError as error:
            problems += error.problems
    try:
        vectors: Chunks | None = Mapped(file)
    except InputError as error:
        vectors, problems = None, [*error.problems, *problems]
    places = {role: other.place for role, other in others}
    return _checked(file, file.place, vectors, values, places, given.classes, problems, [], "")


@lru_cache(maxsize=4)
def _read_npz(file: LocalFile, given: Given) -> Content:
    """The content of an `.npz` file."""
    archive, problems, notes = Archive(file), list[str](), list[str]()
    assert not isinstance(given.vectors, tuple)
    headers = {name: archive.header(name) for name in archive.names}
    matrices = [name for name, (shape, dtype) in headers.items() if len(shape) == 2 and dtype.kind in "fiu"]
    found = {
        "vectors": given.vectors or _first(VECTORS, headers) or (matrices[0] if len(matrices) == 1 else None),
        "label": given.label or _first(LABELS, headers),
        "split": given.split,
        "group": given.group,
    }
    known = f"it has {first_of(list(headers), 20)}"
    for role, name in found.items():
        option = f"{role}: NAME"
        if name is None and role in ("vectors", "label"):
            what = "vectors" if role == "vectors" else "labels"
            problems.append(f"{file.place}: has no array that is clearly the {what}; name it with {option} ({known})")
        elif name is not None and name not in headers:
            problems.append(f"{file.place}: has no array {name} for the setting {role}; {known}")
    problems += [
        f"{file.place}: {name}: {PICKLED}" for name in found.values() if name in headers and headers[name][1].hasobject
    ]
    if problems:
        raise InputError(*problems)
    arrays = {role: archive.array(name) for role, name in found.items() if role != "vectors" and name is not None}
    classes = given.classes
    named = _first(CLASS_NAMES, [name for name, (_, dtype) in headers.items() if dtype.kind in "US"])
    if classes is None and named is not None and arrays["label"].dtype.kind in "iu":
        classes = tuple(_texts(archive.array(named).ravel()).tolist())
        notes.append(f"the names of the classes are those of the array {named}")
    for role in ("split", "group"):
        if found[role] is None and (name := _first((role, f"{role}s"), headers)) is not None:
            notes.append(f"the array {name} is not used; to use it, set {role}: {name}")
    member = Member(archive, found["vectors"] or "")
    places = {role: f"{file.place}: {name}" for role, name in found.items() if name is not None}
    return _checked(file, places["vectors"], member, arrays, places, classes, [], notes, found["vectors"] or "")


def _first(names: Sequence[str], among: object) -> str | None:
    return next((name for name in names if name in among), None)  # type: ignore[operator]


def _lines(file: LocalFile) -> Array:
    """The lines of a text file.

    Raises:
        InputError: The file cannot be read as UTF-8.
    """
    try:
        return np.array(file.path.read_text(encoding="utf-8-sig").splitlines(), np.str_)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{file.place}: should be an .npy file, or a text in UTF-8 with one value in each line"
        ) from error


def _checked(
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
        groups=_texts(flat["group"]) if "group" in flat else None,
        notes=tuple(notes),
    )


def _texts(values: Array) -> npt.NDArray[np.str_]:
    """Values as texts without spaces around them."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return np.char.strip(values.astype(np.str_))


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
        values = _texts(values)
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
        notes.append(_left_out(number))
    return labels, names


def _left_out(number: int) -> str:
    return "1 vector without a label is left out" if number == 1 else f"{number:,} vectors without a label are left out"


def _split_ids(values: Array, place: str, problems: list[str]) -> npt.NDArray[np.int8]:
    """The position of each vector's split in `SPLITS`; values that are no split are added to the problems."""
    if values.dtype.kind not in "US":
        problems.append(f"{place}: has the type {values.dtype}; splits should be words such as train, test and val")
        return np.zeros(len(values), np.int8)
    words, ids = np.unique(_texts(values), return_inverse=True)
    known = [split_of(word) for word in words.tolist()]
    if wrong := [repr(word) for word, split in zip(words.tolist(), known, strict=True) if split is None]:
        count = int(np.isin(ids, [place for place, split in enumerate(known) if split is None]).sum())
        problems.append(
            f"{place}: {count:,} values are no split ({first_of(wrong, NUM_NAMED)}); give train, test or val"
        )
        return np.zeros(len(values), np.int8)
    return np.array([SPLITS.index(split) for split in known if split is not None], np.int8)[ids]


# ------------------------------------------------------------------------------------------------------------- parquet


@lru_cache(maxsize=4)
def _read_parquet(file: LocalFile, given: Given) -> Content:
    """The content of a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.place}: is not a Parquet file that can be read ({error})") from error
    label = given.label or _first(LABELS, schema.names)
    if label is None:
        known = first_of(schema.names, 20)
        raise InputError(f"{file.place}: has no labels; name their column with label: NAME (it has {known})")
    columns = _vector_columns(file, schema, given, label)
    roles = Columns(sample=columns[0], label=label, split=given.split, group=given.group)
    table, problems = _table(file.place, roles, given.classes)
    vectors, place, name = _vectors_of(file, table, columns, is_list=pa.types.is_nested(schema.field(columns[0]).type))
    wrong = shape_problems(place, vectors)
    problems = [*problems, *(wrong or value_problems(place, vectors, name))]
    if not problems and len(table.class_names) == 1:
        problems.append(f"{file.place}: column {label}: has only the label {table.class_names[0]}; two are needed")
    if not problems and not (table.labels >= 0).any():
        problems.append(f"{file.place}: column {label}: has no label; a simulated expert needs labels")
    if problems:
        raise InputError(*problems)
    number = int((table.labels < 0).sum())
    return Content(
        place=place,
        vectors=vectors,
        key={"file": file.digest, "columns": list(columns)},
        name=name,
        labels=table.labels,
        class_names=table.class_names,
        splits=table.splits,
        groups=None if table.groups is None else np.array(table.group_names)[table.groups],
        notes=(*table.notes, *([_left_out(number)] if number else [])),
    )


def _table(place: str, columns: Columns, classes: tuple[str, ...] | None) -> tuple[Table, list[str]]:
    """The labels, splits and groups, and the problems of their rows. If there are problems, the table has only the rows
    without problems, so that the vectors can be checked, too.
    """
    try:
        return read_table(place, columns, kind="vectors", classes=classes), []
    except InputError as error:
        try:
            return read_table(place, columns, kind="vectors", classes=classes, on_error="skip"), list(error.problems)
        except InputError:
            raise error from None


def _vector_columns(file: LocalFile, schema: "pa.Schema", given: Given, label: str) -> tuple[str, ...]:
    """The column with lists, or the numeric columns, that hold the vectors.

    Raises:
        InputError: There are no such columns, or it is not clear which columns hold the vectors.
    """
    from pyarrow import types

    if given.vectors is not None:
        names = given.vectors if isinstance(given.vectors, tuple) else (given.vectors,)
        missing = [name for name in names if name not in schema.names]
        if missing or not names:
            raise InputError(
                f"{file.place}: has no column {first_of(missing, NUM_NAMED)} for the vectors; it has"
                f" {first_of(schema.names, 20)}"
            )
        if len(names) > 1 and (no := [name for name in names if not _is_number(schema.field(name).type)]):
            raise InputError(f"{file.place}: the columns {first_of(no, NUM_NAMED)} are not numeric")
        return names
    lists = [name for name in schema.names if types.is_nested(schema.field(name).type)]
    named = _first(VECTORS, lists)
    if named is not None or len(lists) == 1:
        return (named or lists[0],)
    other = {label, given.split, given.group, *NO_VALUES}
    numeric = tuple(name for name in schema.names if name not in other and _is_number(schema.field(name).type))
    if lists or not numeric:
        raise InputError(
            f"{file.place}: it is not clear which column has the vectors; name it with vectors: NAME (it has"
            f" {first_of(schema.names, 20)})"
        )
    return numeric


def _is_number(kind: "pa.DataType") -> bool:
    from pyarrow import types

    return bool(types.is_floating(kind) or types.is_integer(kind))


def _vectors_of(
    file: LocalFile, table: Table, columns: tuple[str, ...], *, is_list: bool
) -> tuple[Chunks, str, Callable[[int, int], str]]:
    """The vectors of a table, their place in words, and a function that names one of their values in a message."""
    rows = table.rows
    if is_list or (len(columns) == 1 and not is_list and not _is_number(table.samples.type)):
        place = f"{file.place}: column {columns[0]}"
        return ListColumn(place, table.samples, rows), place, lambda row, at: f"row {rows[row]} at position {at}"
    return NumericColumns(file, columns, rows), file.place, lambda row, at: f"row {rows[row]}, column {columns[at]}"
