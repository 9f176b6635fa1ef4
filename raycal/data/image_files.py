"""Image files in folders named by class: found and checked by name, never opened."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from raycal.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")


class ClassFolder(NamedTuple):
    """A class and its image files: paths relative to the folder of the classes, with "/", ascending."""

    name: str
    files: tuple[str, ...]


def class_folders(folder: Path) -> tuple[ClassFolder, ...]:
    """The classes in a folder, by name; images of a class may lie in nested folders. Hidden names are skipped.

    Raises:
        InputError: The folder is missing or has no class; every class without an image, every broken link.
    """
    names = subfolders(folder)
    if not names:
        raise InputError(f"{folder}: has no class folders; put the images of each class into a folder named after it")
    classes, problems = [], []
    for name in names:
        files, found_problems = _image_files(folder, name)
        classes.append(ClassFolder(name, tuple(sorted(files))))
        problems += found_problems
        if not files and not found_problems:
            problems.append(f"{folder / name}: class without an image ({', '.join(SUFFIXES)}); add some or remove it")
    if problems:
        raise InputError(*problems)
    return tuple(classes)


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in a folder, ascending; hidden ones are skipped.

    Raises:
        InputError: The folder is missing or cannot be read.
    """
    try:
        return sorted(entry.name for entry in _entries(folder) if entry.is_dir())
    except (OSError, ValueError) as error:  # a zero byte in the name is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder}: {reason}; give an existing folder of images") from error


def has_images(folder: Path) -> bool:
    """Whether image files lie directly in a folder."""
    return any(_is_image_name(entry.name) for entry in _entries(folder))


def _image_files(folder: Path, class_name: str) -> tuple[list[str], list[str]]:
    """All image files of a class, relative to `folder`, and one line for everything that cannot be one."""
    files: list[str] = []
    problems: list[str] = []
    pending = [(class_name, frozenset[tuple[int, int]]())]
    while pending:
        relative, above = pending.pop()
        try:
            status = (folder / relative).stat()
            entries = list(_entries(folder / relative))
        except OSError as error:
            problems.append(f"{folder / relative}: {error.strerror}; make it readable or remove it")
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            problems.append(f"{folder / relative}: links to a folder that it lies in; remove the link")
            continue
        for entry in entries:
            path = f"{relative}/{entry.name}"
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError as error:
                problems.append(f"{folder / path}: {error.strerror}; make it readable or remove it")
                continue
            if is_folder:
                pending.append((path, above | {identity}))
            elif _is_image_name(entry.name):
                if is_file:
                    files.append(path)
                else:
                    problems.append(f"{folder / path}: a broken link or not a file; remove it")
    return files, problems


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, without hidden things such as `.ipynb_checkpoints` and the `._*` files of macOS."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _is_image_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
