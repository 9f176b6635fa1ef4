"""Reads vectors and what belongs to them from `.npy` and `.npz` files."""

from functools import lru_cache

import numpy as np

from raycal.data.vector_content import CLASS_NAMES, LABELS, VECTORS, Content, Given, checked, first_name, texts
from raycal.data.vectors import PICKLED, Archive, Array, Chunks, LocalFile, Mapped, Member
from raycal.errors import InputError, first_of


@lru_cache(maxsize=4)
def read_npy(file: LocalFile, others: tuple[tuple[str, LocalFile], ...], given: Given) -> Content:
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
    return checked(file, file.place, vectors, values, places, given.classes, problems, [], "")


@lru_cache(maxsize=4)
def read_npz(file: LocalFile, given: Given) -> Content:
    """The content of an `.npz` file."""
    archive, problems, notes = Archive(file), list[str](), list[str]()
    assert not isinstance(given.vectors, tuple)
    headers = {name: archive.header(name) for name in archive.names}
    matrices = [name for name, (shape, dtype) in headers.items() if len(shape) == 2 and dtype.kind in "fiu"]
    found = {
        "vectors": given.vectors or first_name(VECTORS, headers) or (matrices[0] if len(matrices) == 1 else None),
        "label": given.label or first_name(LABELS, headers),
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
    named = first_name(CLASS_NAMES, [name for name, (_, dtype) in headers.items() if dtype.kind in "US"])
    if classes is None and named is not None and arrays["label"].dtype.kind in "iu":
        classes = tuple(texts(archive.array(named).ravel()).tolist())
        notes.append(f"the names of the classes are those of the array {named}")
    for role in ("split", "group"):
        if found[role] is None and (name := first_name((role, f"{role}s"), headers)) is not None:
            notes.append(f"the array {name} is not used; to use it, set {role}: {name}")
    member = Member(archive, found["vectors"] or "")
    places = {role: f"{file.place}: {name}" for role, name in found.items() if name is not None}
    return checked(file, places["vectors"], member, arrays, places, classes, [], notes, found["vectors"] or "")


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
