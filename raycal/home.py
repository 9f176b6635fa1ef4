"""The home folder in paths that begin with `~`."""

import os

from raycal.errors import InputError


def expand_home(path: str) -> str:
    """The path with a leading `~` or `~user` replaced by the home folder.

    An empty `HOME` counts as none, as the root of the file system would be taken for the home folder.

    Raises:
        InputError: There is no such home folder. A folder that is named `~` is never meant.
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


def _expanded_without_home(path: str) -> str:
    """By the entry of the user in the user database."""
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as error:
        raise InputError(_no_home(path, "~")) from error
    return home.rstrip("/") + path[1:]


def _no_home(path: str, first: str) -> str:
    if first == "~":
        return f"{path}: there is no home folder, as HOME is not set; set HOME, or give the whole path"
    return f"{path}: no such home folder; give the whole path, or ./{path} for a folder of that name"
