"""Checks the columns of a table, and turns them into arrays."""

import posixpath
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.data.layout import look_alikes, split_of
from raycal.data.tables.columns import MAX_CLASSES, SPLITS, UNLABELED, Kind, Mask, Table
from raycal.data.tables.problems import NUM_NAMED, Problems
from raycal.data.tables.source import RawTable
from raycal.data.text_checks import check_texts
from raycal.errors import InputError, first_of

if TYPE_CHECKING:
    import pyarrow as pa


def checked(
    raw: RawTable,
    place: str,
    used: Mapping[str, str],
    kind: Kind,
    classes: tuple[str, ...] | None,
    problems: Problems,
    notes: list[str],
) -> Table:
    """The table with all of its rows. The rows with problems are in `problems`."""
    number = len(raw.rows)
    samples = _normal(raw.columns["sample"]) if kind == "paths" else raw.columns["sample"]
    problems.add(mask_of(samples.is_null()), used["sample"], "empty", lambda _: "is empty")
    labels, class_names = np.full(number, UNLABELED, np.int64), tuple(classes or ())
    if "label" in raw.columns:
        labels, class_names = _labels(raw.columns["label"], place, used["label"], classes, problems, notes)
    splits, groups, group_names, weights = None, None, tuple[str, ...](), None
    if "split" in raw.columns:
        splits = _splits(raw.columns["split"], used["split"], problems)
    if "group" in raw.columns:
        problems.add(mask_of(raw.columns["group"].is_null()), used["group"], "empty", lambda _: "is empty")
        groups, names = _ids(raw.columns["group"])
        group_names = tuple(names)
    if "weight" in raw.columns:
        weights = _weights(raw.columns["weight"], used["weight"], problems)
    if kind == "paths":
        _refuse_repeated(samples, raw, used, class_names, labels, problems, notes)
    if kind == "texts":
        check_texts(samples, labels, class_names, raw.rows, used["sample"], problems)
    for name in raw.names:
        role = name.casefold()
        if role in ("split", "group", "weight") and role not in used:
            notes.append(f"the column {name} is not used; to use it, set {role}: {name}")
    return Table(
        place=place,
        samples=samples,
        labels=labels,
        class_names=class_names,
        splits=splits,
        groups=groups,
        group_names=group_names,
        weights=weights,
        rows=raw.rows,
        notes=(),
        dropped={},
    )


def mask_of(array: "pa.Array") -> Mask:
    """A column of truth values, in which null is false."""
    import pyarrow.compute as pc

    mask: Mask = np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), bool)
    return mask


def _normal(paths: "pa.Array") -> "pa.Array":
    """Paths in one form: without `./`, without `//`; URIs are left as they are."""
    import pyarrow.compute as pc

    odd = pc.and_(pc.match_substring_regex(paths, r"(^|/)\.{0,2}/|/\.{0,2}$"), pc.invert(_is_uri(paths)))
    if not mask_of(odd).any():
        return paths
    normal = [posixpath.normpath(path) for path in paths.filter(pc.fill_null(odd, False)).to_pylist()]
    return pc.replace_with_mask(paths, pc.fill_null(odd, False), _text_array(normal))


def _is_uri(paths: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.match_substring_regex(paths, r"^[A-Za-z][A-Za-z0-9+.-]*://")


def _text_array(texts: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def _ids(array: "pa.Array") -> tuple[Indices, list[str]]:
    """A number for each text, -1 for null, and the texts in the order of their numbers."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(array)
    ids = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return ids, encoded.dictionary.to_pylist()


def _labels(
    array: "pa.Array",
    place: str,
    column: str,
    classes: tuple[str, ...] | None,
    problems: Problems,
    notes: list[str],
) -> tuple[Labels, tuple[str, ...]]:
    """The labels as ids into the names of the classes; -1 for a row without a label."""
    ids, texts = _ids(array)
    if len(texts) > MAX_CLASSES:
        raise InputError(
            f"{place}: column {column}: has {len(texts):,} different labels, such as {texts[0]!r}, which is more than"
            f" {MAX_CLASSES:,}; name the column of the labels with label: NAME"
        )
    if classes is None:
        names = _in_order(texts)
        problems.of_file += [f"{place}: column {column}: {line}" for line in _doubtful(names)]
        unknown = np.zeros(len(texts), bool)
        if len(names) > 1 and 0 < (numbers := sum(map(_is_number, names))) < len(names):
            words = next(name for name in names if not _is_number(name))
            notes.append(f"{numbers:,} of {len(names):,} labels are numbers, and others are words such as {words}")
    else:
        names = list(classes)
        known = {*names}
        unknown = np.array([text not in known for text in texts], bool)
        if unused := [name for name in names if name not in {*texts}]:
            notes.append(f"no row has the label {first_of(unused, NUM_NAMED)}")
    place_of = {name: position for position, name in enumerate(names)}
    position_of = np.array([*(place_of.get(text, UNLABELED) for text in texts), UNLABELED], np.int64)
    is_unknown = np.array([*unknown, False], bool)

    def hint(position: int) -> str:
        label = texts[ids[position]]
        near = get_close_matches(label, names, 1, 0.6)
        known = f"did you mean {near[0]}?" if near else f"they are {first_of(names, 10)}"
        return f"{label!r} is not one of the classes; {known}"

    problems.add(is_unknown[ids], column, "unknown label", hint)
    return position_of[ids], tuple(names)


def _in_order(texts: Sequence[str]) -> list[str]:
    """The names of classes in ascending order; numbers by their value."""
    if all(_is_whole(text) for text in texts):
        return sorted(texts, key=lambda text: (int(text), text))
    return sorted(texts)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.casefold() not in ("nan", "inf", "infinity")


def _doubtful(names: Sequence[str]) -> list[str]:
    """Lines about labels that are probably one label in two spellings: `1` and `1.0`, or look-alikes."""
    by_value: dict[float, list[str]] = {}
    for name in names:
        if _is_number(name):
            by_value.setdefault(float(name), []).append(name)
    lines = [
        f"the labels {' and '.join(map(repr, same))} are one number in different spellings; write it in one way"
        for same in by_value.values()
        if len(same) > 1
    ]
    return lines[:NUM_NAMED] + [
        f"the labels {' and '.join(map(ascii, same))} look alike; write them in one way"
        for same in look_alikes(names)[:NUM_NAMED]
    ]


def _splits(array: "pa.Array", column: str, problems: Problems) -> npt.NDArray[np.int8]:
    ids, texts = _ids(array)
    known = {split: position for position, split in enumerate(SPLITS)}
    positions = np.array([*(known.get(split_of(text), -1) for text in texts), -1], np.int8)  # type: ignore[arg-type]
    problems.add(ids < 0, column, "empty", lambda _: "is empty; give train, test or val")
    problems.add(
        (ids >= 0) & (positions[ids] < 0),
        column,
        "unknown split",
        lambda position: f"{texts[ids[position]]!r} is no split; give train, test or val",
    )
    splits: npt.NDArray[np.int8] = positions[ids]
    return splits


def _weights(array: "pa.Array", column: str, problems: Problems) -> Floats:
    import pyarrow as pa

    problems.add(mask_of(array.is_null()), column, "empty", lambda _: "is empty; give a number above 0")
    filled = array.fill_null("1" if pa.types.is_large_string(array.type) else 1)
    try:
        values = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = np.array([_float(value) for value in filled.to_pylist()])
    weights: Floats = values.astype(np.float32)
    with np.errstate(invalid="ignore"):
        bad = ~(np.isfinite(weights) & (weights > 0))
    problems.add(bad, column, "no number above 0", lambda position: f"{array[position].as_py()!r} is no number above 0")
    weights[bad] = 1
    return weights


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _refuse_repeated(
    samples: "pa.Array",
    raw: RawTable,
    used: Mapping[str, str],
    class_names: Sequence[str],
    labels: Labels,
    problems: Problems,
    notes: list[str],
) -> None:
    """Add a problem for each row whose path is in an earlier row, too."""
    ids, paths = _ids(samples)
    if len(paths) == int((ids >= 0).sum()):
        return
    first = np.full(len(paths), -1, np.int64)
    rows_with_path = np.flatnonzero(ids >= 0)[::-1]
    first[ids[rows_with_path]] = rows_with_path  # in reverse, so that the first row of each path stays
    earlier = np.where(ids >= 0, first[ids], np.arange(len(ids)))
    repeated = earlier != np.arange(len(ids))
    other = repeated & (labels != labels[earlier])

    def name(position: int) -> str:
        label = labels[position]
        return "no label" if label < 0 else f"the label {class_names[label]}"

    def contradiction(position: int) -> str:
        before = earlier[position]
        return (
            f"{paths[ids[position]]} is in row {raw.rows[before]}, too, with {name(before)} there and {name(position)}"
            " here"
        )

    def same(position: int) -> str:
        return f"{paths[ids[position]]} is in row {raw.rows[earlier[position]]}, too, with the same label"

    problems.add(other, used["sample"], "path with two labels", contradiction)
    if other.any():  # nobody knows which of the labels is right, so none of these rows can be used
        problems.is_bad[earlier[other]] = True
    problems.add(repeated & ~other, used["sample"], "path named twice", same)
