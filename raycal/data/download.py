"""Downloads: one process at a time, never waiting for ever, and a failure said in one line."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from raycal.data.cache import absolute, cache_dir
from raycal.errors import InputError

TIMEOUT_SECONDS = 60.0


def download_root(root: str | None) -> Path:
    """The folder a user gave for a dataset's files, `~` expanded; raycal's own download folder when there is none."""
    return cache_dir() / "downloads" if root is None else absolute(root)


def checkpoints_dir() -> Path:
    """Where torch keeps downloaded weights: in `$TORCH_HOME`, else in `torch` in the cache folder of the user.

    Raises:
        InputError: There is no home folder, and neither `TORCH_HOME` nor `XDG_CACHE_HOME` is set.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return absolute(os.environ.get("TORCH_HOME") or f"{cache}/torch") / "hub" / "checkpoints"


class Archive(NamedTuple):
    """A file that torchvision fetches and unpacks, only with the checksum of the one that was published."""

    path: Path
    md5: str


def download(
    root: Path, fetch: Callable[[], object], *, name: str, instead: str, archive: Archive | None = None
) -> None:
    """Run `fetch`, which puts a dataset below `root`; it must do nothing when another process has done so before.

    Args:
        instead: What the user can do when it fails.
        archive: What `fetch` unpacks when it is there already.

    Raises:
        InputError: It failed.
    """
    from http.client import HTTPException
    from tarfile import TarError
    from zipfile import BadZipFile

    from filelock import FileLock

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{name.rpartition(' ')[2]}.lock"), _timeout():
            fetch()
    except (OSError, RuntimeError, EOFError, HTTPException, TarError, BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if archive is not None and _is_another(archive):
            reason += f"; {archive.path} is there, but its checksum is wrong, so it was not unpacked"
        raise InputError(f"{name}: the download to {root} failed ({reason}); {instead}") from error


def _is_another(archive: Archive) -> bool:
    from torchvision.datasets.utils import check_integrity

    return archive.path.is_file() and not check_integrity(archive.path, archive.md5)


@contextmanager
def _timeout() -> Iterator[None]:
    # torchvision 0.29 opens its connections without a timeout: behind a silent firewall it waits for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
