"""Checks the folder in which Ray keeps sockets and logs on this machine, before Ray starts a cluster there."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

from raycal.errors import InputError
from raycal.home import nearest_existing

# The longest socket path on Linux, in bytes; Ray appends the names of the session and of the socket to its folder.
MAX_SOCKET_PATH = 107
LONGEST_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
REMEDY = "set RAY_TMPDIR to a short path of a folder that you may write, such as /tmp/my-ray"


def ray_folder() -> Path:
    """The folder in which Ray 2.60 keeps its sessions: in `RAY_TMPDIR` if it is set, otherwise in `TMPDIR`, otherwise
    in `/tmp`."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray").absolute()


def check_ray_folder() -> None:
    """Refuse a folder in which Ray cannot start a cluster.

    Raises:
        InputError: The folder's path is too long, or this user may not write there.
    """
    folder = ray_folder()
    length = len(os.fsencode(folder / LONGEST_SOCKET))
    if length > MAX_SOCKET_PATH:
        raise InputError(
            f"{folder}: too long a path for Ray, whose sockets in it would have {length} bytes of at most "
            f"{MAX_SOCKET_PATH}; {REMEDY}"
        )
    nearest = nearest_existing(folder)
    if not nearest.is_dir():
        raise InputError(f"{nearest}: is not a folder, and Ray keeps its sockets and logs there; {REMEDY}")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{nearest}: belongs to {_owner(nearest)}, and Ray must write there; {REMEDY}")


def _owner(path: Path) -> str:
    number = path.stat().st_uid
    with suppress(KeyError):
        return f"the user {pwd.getpwuid(number).pw_name}"
    return f"the user {number}"
