"""Opens places that a user names: paths of this machine, and URIs of every file system that pyarrow reaches."""

from pathlib import Path
from typing import TYPE_CHECKING

from raycal.errors import InputError
from raycal.home import expand_home

if TYPE_CHECKING:
    from pyarrow import fs


def open_place(place: str, *, setting: str = "", kind: str = "file") -> "tuple[fs.FileSystem, str]":
    """The file system of a place, and the path of the place on it. Nothing is created or read.

    Args:
        place: A path of this machine, absolute or relative, in which `~` is allowed; or a URI such as
            `s3://bucket/folder`, `gs://bucket/folder` or `file:///folder`.
        setting: The name of the setting that the place is from; it begins the message of an error.
        kind: What the place should be, for the message of an error.

    Raises:
        InputError: The place is empty or contains a null character, its home folder does not exist, or the URI names no
            file system that pyarrow knows.
    """
    from pyarrow import fs

    begin = f"{setting} " if setting else ""
    if not place or "\0" in place:
        raise InputError(f"{begin}{place!r}: should be a {kind} or a URI")
    if "://" not in place:
        try:
            path = expand_home(place)
        except InputError as error:
            raise InputError(f"{begin}{error}") from error
        return fs.LocalFileSystem(), str(Path(path).absolute())
    try:
        filesystem, path = fs.FileSystem.from_uri(place)
    except (ValueError, OSError) as error:
        raise InputError(f"{begin}{place}: {error}") from error
    return filesystem, path
