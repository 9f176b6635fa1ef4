"""Decides which folder of images is the training split, which is the test split, and which folders are classes.

Two layouts are read: `<split>/<class>/` and `<class>/`. Folders that only wrap one of them (`birds/birds/<class>/`,
`train/train/<class>/`) are passed through. A split is recognized by its name, in upper or lower case: `train`,
`Training`, `training_set`, `seg_train`; `test`, `Testing`, `test_set`; `val`, `valid`, `validation`, `eval`. A folder
with such a name is a split only if it has folders and no images of its own, so a class may be called `train`. A folder
that could be read in two ways is refused. A note says what was passed through, skipped or not used.

The images of a class may lie in folders below the folder of the class, which a note says. If nearly all classes have
the same folders below them and no images of their own, the folder is refused. The folders below may then be the
classes, as in `trian/<class>/` and `tset/<class>/`, where the names of the splits are misspelled.

Two kinds of folders are skipped: those whose names no class has (see `NEVER_A_CLASS`), and those in which a program
left its files, such as the results of a raycal sweep, the events of TensorBoard, or a virtual environment. A class may
be called `runs` or `results` if its images lie directly in it; a folder of that name whose images lie deeper is
refused.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from raycal.data.image_files import NUM_NAMED, READABLE, ImageTree, counted_files, listed_folders, unused_files
from raycal.errors import InputError, first_of


class Split(StrEnum):
    """A part of a dataset."""

    TRAIN = "train"
    TEST = "test"
    VAL = "val"


WORDS = {
    **dict.fromkeys(("train", "training", "trn"), Split.TRAIN),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), Split.TEST),
    **dict.fromkeys(("val", "valid", "validation", "validate", "eval", "evaluation", "dev"), Split.VAL),
}
# The words that the name of a folder may contain in addition to the word for the split, as in `seg_train`,
# `training_set` and `test-images`.
FILLERS = frozenset(
    {"set", "data", "dataset", "split", "seg", "image", "images", "img", "imgs", "photos", "pictures", "folder", "raw"}
)
# Names that programs give to folders of results, but that may also be the name of a class.
MAYBE_RESULTS = frozenset(
    {"runs", "logs", "output", "outputs", "results", "checkpoints", "report", "reports", "artifacts", "tmp", "temp"}
)
# The share of the larger number of folders that counts as "nearly all" when the folders of different classes are
# compared.
NEARLY_ALL = 0.8


class ClassImages(NamedTuple):
    """A class and its image files: paths relative to the root, with "/", ascending."""

    name: str
    files: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Layout:
    """The classes of a folder of images.

    Attributes:
        train: The classes, by name. If the folder has no split of its own, these are the classes of all images.
        test: The classes of the test split, under the names that they have in `train`. None if the folder has no split.
        notes: What a user should know about how the folder was read, one line per note.
    """

    train: tuple[ClassImages, ...]
    test: tuple[ClassImages, ...] | None
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """The information that is collected while a folder is read.

    Attributes:
        nested: The classes that have images in folders below their own folder, each with the names of these folders.
    """

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    num_outside: int = 0
    nested: dict[str, list[str]] = field(default_factory=dict)


def split_of(name: str) -> Split | None:
    """The split that a folder is named after; None for any other name."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # splits names such as TestImages into words
    words = [word.removesuffix("set") or word for word in re.split(r"[\W_]+", spaced.casefold()) if word]
    splits = [WORDS[word] for word in words if word in WORDS]
    others = [word for word in words if word not in WORDS and word not in FILLERS]
    return splits[0] if len(splits) == 1 and not others else None


def read_layout(tree: ImageTree) -> Layout:
    """The classes and the splits of a folder.

    Raises:
        InputError: The folder cannot be used as it is, or it could be read in two ways.
    """
    reading = _Reading()
    folder = tree
    while (splits := _splits(folder, reading)) is None and (inner := _wrapped(folder)) is not None:
        _leave(folder, reading)
        reading.notes.append(f"{inner.relative}/ is read, because it is the only folder with images")
        folder = inner
    if splits is None:
        train, test = _classes(folder, reading), None
    else:
        _leave(folder, reading)
        train = _classes(_inside(splits[0], reading), reading)
        test = _classes(_inside(splits[1], reading, classes=[one.name for one in train]), reading)
    if reading.problems:
        raise InputError(*reading.problems)
    if len(train) == 1:
        raise InputError(
            f"{tree.root}: has only one class, {train[0].name} ({len(train[0].files)} images); at least two are needed,"
            " each with its images in a folder named after it"
        )
    if test is not None and splits is not None:
        test = _named_as(train, test, splits)
    return Layout(train=train, test=test, notes=(*reading.notes, *_leftovers(reading)))


def _splits(folder: ImageTree, reading: _Reading) -> tuple[ImageTree, ImageTree] | None:
    """The folders of the training and the test split; None if the folder has classes instead of splits.

    Raises:
        InputError: A split is missing, occurs twice, or has no class folders.
    """
    named = {name: split for name in folder.folders if (split := split_of(name)) is not None}
    labeled: dict[Split, list[str]] = {}
    for name, split in named.items():
        if (content := folder.child(name)).folders and not content.content.images:
            labeled.setdefault(split, []).append(name)
    others = [name for name in folder.folders if name not in named]
    if not labeled:
        if named and not others:
            raise InputError(
                f"{folder.path}: {listed_folders(named)} looks like a split of a dataset, but has no class folders in"
                " it; put the images of each class into a folder named after it"
            )
        return None
    _refuse_twice(folder, labeled)
    if Split.TRAIN not in labeled:
        raise _half(folder, [name for names in labeled.values() for name in names], Split.TRAIN, others)
    (train,) = labeled[Split.TRAIN]
    empty = [name for name, split in named.items() if split is Split.TEST and not folder.child(name).content.images]
    test = next(iter((*labeled.get(Split.TEST, ()), *labeled.get(Split.VAL, ()), *empty)), None)
    if test is None:
        raise _half(folder, [train], Split.TEST, [name for name in folder.folders if name != train])
    if named[test] is Split.VAL:
        reading.notes.append(f"there is no test split with class folders, so {test}/ is the test split")
    if ignored := [name for name in folder.folders if name not in (train, test)]:
        reading.notes.append(f"only {train}/ and {test}/ are used, not {listed_folders(ignored)}")
    return folder.child(train), folder.child(test)


def _refuse_twice(folder: ImageTree, labeled: Mapping[Split, Sequence[str]]) -> None:
    """Refuse two folders for the training or the test split; two validation splits matter only if there is no test
    split."""
    needed = (Split.TRAIN, Split.TEST if Split.TEST in labeled else Split.VAL)
    problems = [
        f"{folder.path}: {' and '.join(f'{name}/' for name in labeled[split])} both look like the {split} split;"
        " remove or rename one of them"
        for split in needed
        if len(labeled.get(split, ())) > 1
    ]
    if problems:
        raise InputError(*problems)


def _half(folder: ImageTree, present: Sequence[str], missing: Split, others: Sequence[str]) -> InputError:
    """Refuse a folder in which splits and classes lie side by side: `root/train` and `root/crow` would be two
    classes."""
    has = " and ".join(f"{name}/" for name in present)
    beside = f" (beside it: {listed_folders(others)})" if others else ""
    return InputError(
        f"{folder.path}: has {has} with class folders but no {missing}/{beside}; add it, or give"
        f" {folder.child(present[0]).path} as root to have it split at random"
    )


def _wrapped(folder: ImageTree) -> ImageTree | None:
    """The only folder in a folder, if it has folders and no images of its own. None means that the folder holds
    classes."""
    if len(folder.folders) != 1 or folder.content.images:
        return None
    inner = folder.child(folder.folders[0])
    return inner if inner.folders and not inner.content.images else None


def _inside(split: ImageTree, reading: _Reading, classes: Iterable[str] = ()) -> ImageTree:
    """The folder of the classes of a split, which may lie deeper, as in `seg_train/seg_train/<class>/`.

    Args:
        classes: The classes of the training split, because a test split may consist of one of these classes alone.
    """
    known = {_key(name) for name in classes}
    while (inner := _wrapped(split)) is not None and _key(inner.name) not in known:
        _leave(split, reading)
        reading.notes.append(f"the classes of {split.relative}/ are read from {inner.relative}/, the only folder in it")
        split = inner
    return split


def _leave(folder: ImageTree, reading: _Reading) -> None:
    """Add a note about files and folders in this folder that are not read."""
    prefix = f"{folder.relative}/".lstrip("/")
    reading.skipped += (prefix + name for name in folder.skipped)
    reading.problems += folder.content.problems
    reading.num_outside += len(folder.content.images)


def _classes(folder: ImageTree, reading: _Reading) -> tuple[ClassImages, ...]:
    """The classes in a folder, by name; images of a class may lie in nested folders."""
    num_problems = len(reading.problems)
    _leave(folder, reading)
    if not folder.folders and not folder.content.problems:
        reading.problems.append(
            f"{folder.path}: has no class folders; put the images of each class into a folder named after it"
        )
    spellings: dict[str, dict[str, tuple[str, ...]]] = {}
    for name in folder.folders:
        child = folder.child(name)
        reading.problems += _refusal(child)
        class_files = child.find_images()
        reading.skipped += class_files.skipped
        reading.problems += class_files.problems
        reading.unused += class_files.unused
        if not class_files.images and not class_files.problems:
            others = f"; it has {counted_files(class_files.unused)}" if class_files.unused else ""
            reading.problems.append(f"{child.path}: class without an image ({READABLE}){others}; add some or remove it")
        spellings.setdefault(_key(name), {})[name] = tuple(sorted(class_files.images))
        if below := [inner for inner in child.folders if child.child(inner).find_images().images]:
            reading.nested.setdefault(name, []).extend(below)
    classes = []
    for key, files in spellings.items():
        if len(files) > 1:
            reading.notes.append(f"{len(files)} folders named {key} differ in Unicode alone and are one class")
        name = key if len(files) > 1 else next(iter(files))
        classes.append(ClassImages(name, tuple(sorted(file for part in files.values() for file in part))))
    reading.problems += [
        f"{folder.path}: the classes {' and '.join(map(ascii, same))} look alike; rename or merge the folders"
        for same in look_alikes(one.name for one in classes)
    ]
    if len(reading.problems) == num_problems:
        reading.problems += _same_folders_below(folder)
    return tuple(sorted(classes))


def _refusal(folder: ImageTree) -> list[str]:
    """The reason why a folder is not taken for a class although its name is not that of a split."""
    inner = [name for name in folder.folders if split_of(name)]
    if {Split.TRAIN} < {split_of(name) for name in inner}:
        return [
            f"{folder.path}: has {' and '.join(f'{name}/' for name in inner)} in it, so it is not a class; give it as"
            " root, or put the classes into the splits (train/<class>/, test/<class>/)"
        ]
    if folder.name.casefold() in MAYBE_RESULTS and not folder.content.images and folder.find_images().images:
        return [
            f"{folder.path}: looks like a folder of results; move it away or, if it is a class, put its images"
            " directly into it"
        ]
    return []


def _same_folders_below(folder: ImageTree) -> list[str]:
    """A line for the user if nearly all folders that are taken for classes have the same folders below them.

    The folders below may be splits with misspelled names (`trian/<class>/`), parts of each image (`masks/<class>/`), or
    classes that are all divided in the same way; only the user knows which.
    """
    below = {name: names for name in folder.folders if len(names := _class_like(folder.child(name))) > 1}
    times = Counter(name for names in below.values() for name in names)
    shared = {name for name, count in times.items() if count >= max(2, NEARLY_ALL * len(below))}
    alike = [name for name, names in below.items() if len(shared & {*names}) >= max(2, NEARLY_ALL * len(shared))]
    # If folders only have some names in common, such as `others`, most of their names occur in one folder alone.
    has_hardly_others = any(len(shared & {*below[name]}) >= NEARLY_ALL * len(below[name]) for name in alike)
    num_others = len(folder.folders) - len(alike)
    if len(alike) < 2 or not has_hardly_others or num_others > max(1, (1 - NEARLY_ALL) * len(folder.folders)):
        return []
    first = below[alike[0]]
    inner = [first[name] for name in sorted(shared) if name in first]
    return [
        f"{folder.path}: {listed_folders(alike)} have the same folders in them ({listed_folders(inner)}), so it is"
        " not clear which are the classes; if they are splits, name them train and test; if only one of them has the"
        " images, give it as root; if they are the classes, put their images directly into them"
    ]


def _class_like(folder: ImageTree) -> dict[str, str]:
    """The subfolders that have images, of a folder that has hardly any images of its own. The result maps each name
    with its case folded to the name itself."""
    while (inner := _wrapped(folder)) is not None:
        folder = inner
    num_images = {name: len(folder.child(name).find_images().images) for name in folder.folders}
    num_below = sum(num_images.values())
    if num_below < NEARLY_ALL * (num_below + len(folder.content.images)):
        return {}
    return {_folded(name): name for name, count in num_images.items() if count}


def _key(name: str) -> str:
    """A form of the name that is equal for names that differ only in how their letters are composed (NFC, NFD)."""
    return unicodedata.normalize("NFC", name)


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of classes whose names a person cannot tell apart. `a` and `A` may be two letters."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(unicodedata.normalize("NFKC", name).strip(), []).append(name)
    return [same for same in alike.values() if len(same) > 1]


def _named_as(
    train: Sequence[ClassImages], test: Sequence[ClassImages], splits: tuple[ImageTree, ImageTree]
) -> tuple[ClassImages, ...]:
    """The classes of the test split under the names that they have in the training split.

    Raises:
        InputError: The training split lacks some of these classes.
    """
    names = {_key(one.name): one.name for one in train}
    unknown = [one.name for one in test if _key(one.name) not in names]
    if unknown:
        folded = {_folded(one.name): one.name for one in train}
        similar = [(name, folded[_folded(name)]) for name in unknown if _folded(name) in folded]
        hint = "".join(f"; {name!a} is probably {known!a}" for name, known in similar[:NUM_NAMED])
        raise InputError(
            f"{splits[1].path}: classes that {splits[0].name} does not have: {', '.join(unknown)}{hint}; both"
            " splits need the same classes"
        )
    return tuple(ClassImages(names[_key(one.name)], one.files) for one in test)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _leftovers(reading: _Reading) -> Iterator[str]:
    """Notes about images that lie deeper than expected, and about files that are not read."""
    if reading.nested:
        named = [f"{name}/ ({listed_folders(dict.fromkeys(below))})" for name, below in sorted(reading.nested.items())]
        yield f"images in folders below a class are images of the class: {first_of(named, NUM_NAMED)}"
    if reading.skipped:
        yield f"skipped {listed_folders(reading.skipped)}: no class has such a name, or a program keeps its files there"
    if reading.unused:
        yield unused_files(reading.unused)
    if reading.num_outside:
        yield f"{reading.num_outside:,} images are not used, because they are not in a class folder"
