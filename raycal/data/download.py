"""Downloads: one process downloads at a time, with a timeout, and a failure is reported in one line."""

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
    """The folder for a dataset's files: `root` with `~` expanded, or raycal's download folder if `root` is None."""
    return cache_dir() / "downloads" if root is None else absolute(root)


def checkpoints_dir() -> Path:
    """The folder where torch keeps downloaded weights: in `$TORCH_HOME` if it is set, otherwise in `torch` in the
    user's cache folder.

    Raises:
        InputError: There is no home folder, and neither `TORCH_HOME` nor `XDG_CACHE_HOME` is set.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return absolute(os.environ.get("TORCH_HOME") or f"{cache}/torch") / "hub" / "checkpoints"


class Archive(NamedTuple):
    """An archive that torchvision downloads, and unpacks only if its checksum is that of the published archive."""

    path: Path
    md5: str


def download(
    root: Path, fetch: Callable[[], object], *, name: str, instead: str, archive: Archive | None = None
) -> None:
    """Run `fetch`, which downloads files to `root`, and turn its errors into an `InputError`.

    Args:
        fetch: Downloads the files; it must do nothing if another process has downloaded them before.
        name: The name of the download in the error; its last word names the lock.
        instead: What the user can do instead if the download fails.
        archive: The archive that `fetch` unpacks without a download if it is there already.

    Raises:
        InputError: The download failed.
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
    # torchvision 0.29 opens its connections without a timeout, so it would wait forever behind a firewall that drops
    # packets silently.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
