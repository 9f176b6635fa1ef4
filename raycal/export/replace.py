"""Puts a finished folder in the place of an earlier export, so that at every moment a complete export exists."""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from raycal.errors import InputError, RaycalError, first_of

MARKER = "export.json"
FORMAT = "raycal export"
NUM_NAMED = 3
# Folders whose files are listed by name only, because reading all images would take long.
PICTURE_FOLDERS = ("train", "test")
# Reasons why a folder can never be written, however often one tries.
_MAY_NOT_WRITE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
}


class ExportFailedError(RaycalError):
    """The export could not be written, for example because the disk is full. An earlier export is unchanged."""


def check_target(target: Path) -> None:
    """Refuse a folder that an export must not replace, or that cannot be written.

    Raises:
        InputError: The folder cannot be written, or it holds files that no export wrote or that were changed since the
            export.
    """
    try:
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise InputError(f"{target}: there is a file or a link of this name; give a new or an empty folder")
        if target.exists():
            _check_content(target)
        # An export trains a model before it writes anything, so this checks early whether it can write.
        above = next(folder for folder in target.parents if folder.exists())
        Path(mkdtemp(prefix=f".{target.name[:100]}.", dir=above)).rmdir()
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error


def _check_content(target: Path) -> None:
    """Refuse a folder with files that would be lost.

    Raises:
        InputError: The folder has files that no export wrote, or that were changed since the export.
    """
    recorded = _recorded(target)
    if recorded is None:
        if any(target.iterdir()):
            raise InputError(
                f"{target}: the folder is not empty, and raycal did not export it; give a new or an empty folder"
            )
        return
    present = dict(_files(target))
    foreign = sorted(present.keys() - recorded.keys())
    changed = sorted(name for name, digest in present.items() if name in recorded and recorded[name] != digest)
    if foreign or changed:
        what = [
            f"{first_of(names, NUM_NAMED)} {words}"
            for names, words in ((foreign, "not from raycal"), (changed, "changed since the export"))
            if names
        ]
        raise InputError(f"{target}: would lose {' and '.join(what)}; move these files or give another folder")


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A new folder to write an export into; when the block ends, it takes the place of `target`.

    If the block or the replacement fails, the new folder is removed and `target` is as it was.

    Raises:
        InputError: The folder may not be written.
        ExportFailedError: The disk is full, or writing failed in another way.
    """
    from filelock import FileLock, Timeout

    new, old = (target.with_name(f".{target.name}.{what}") for what in ("new-export", "old-export"))
    lock = FileLock(target.with_name(f".{target.name}.export-lock"), blocking=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock:
            try:
                _restore(target, old)
                check_target(target)
                _remove(new)
                new.mkdir()
                yield new
                _write_marker(new)
                _sync_all(new)
                if target.exists():
                    target.rename(old)
                try:
                    new.rename(target)
                except BaseException:
                    _restore(target, old)
                    raise
                _sync(target.parent)
                _remove(old)
            finally:
                with suppress(OSError):
                    _remove(new)
                with suppress(OSError):
                    Path(lock.lock_file).unlink()
    except Timeout as error:
        raise InputError(f"{target}: another process is exporting to this folder") from error
    except OSError as error:
        where = Path(os.fsdecode(error.filename or target))
        if not where.is_relative_to(target.parent) and not target.is_relative_to(where):
            raise InputError(f"{where}: cannot be read: {error.strerror or error}") from error
        reason = f"{target}: cannot be written: {error.strerror or error}"
        raise (InputError(reason) if error.errno in _MAY_NOT_WRITE else ExportFailedError(reason)) from error


def _restore(target: Path, old: Path) -> None:
    """Put back an earlier export that a killed process has moved away."""
    if old.is_dir() and not target.exists():
        old.rename(target)
    elif old.is_dir():
        _remove(old)


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _recorded(folder: Path) -> dict[str, str] | None:
    """The files that an export has written, each with its digest; None if the folder is no export."""
    try:
        record = json.loads((folder / MARKER).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("files"), dict):
        return None
    return {str(name): str(digest) for name, digest in record["files"].items()}


def _write_marker(folder: Path) -> None:
    record = {"format": FORMAT, "version": 1, "files": dict(_files(folder))}
    (folder / MARKER).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """The names of all files below a folder, sorted, each with its digest. The digest of an image is left empty."""
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted([*names, *(one for one in below if Path(place, one).is_symlink())]):
            path = Path(place, name)
            relative = path.relative_to(folder)
            if relative.as_posix() == MARKER:
                continue
            is_picture = relative.parts[0] in PICTURE_FOLDERS or not stat.S_ISREG(path.lstat().st_mode)
            yield relative.as_posix(), "" if is_picture else hashlib.sha256(path.read_bytes()).hexdigest()


def _sync_all(folder: Path) -> None:
    """Flush the tables and the model, so that a crash of the machine leaves no export with empty files."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
