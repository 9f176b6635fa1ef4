"""Expands the home folder in paths that begin with `~`, and finds the part of a path that exists."""

import os
from pathlib import Path

from raycal.errors import InputError


def expand_home(path: str) -> str:
    """The path with a leading `~` or `~user` replaced by the home folder.

    An empty `HOME` counts as not set, because it would make the root of the file system the home folder.

    Raises:
        InputError: There is no such home folder. The path is never taken for a folder that is named `~`.
    """
    if not path.startswith("~"):
        return path
    first = path.partition("/")[0]
    if first == "~" and os.environ.get("HOME") == "":
        return _expanded_without_home(path)
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise InputError(_no_home(path, first))
    return expanded


def nearest_existing(path: Path) -> Path:
    """The path itself if it exists, even as a broken link; otherwise the nearest of the folders above it that
    exists."""
    return next(above for above in (path, *path.parents) if os.path.lexists(above))


def _expanded_without_home(path: str) -> str:
    """The path expanded with the home folder that the user database has for this user."""
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as error:
        raise InputError(_no_home(path, "~")) from error
    return home.rstrip("/") + path[1:]


def _no_home(path: str, first: str) -> str:
    if first == "~":
        return f"{path}: there is no home folder, because HOME is not set; set HOME, or give the whole path"
    return f"{path}: no such home folder; give the whole path, or ./{path} for a folder of that name"
