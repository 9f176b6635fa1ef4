"""Whole-or-absent files in a folder on any filesystem that pyarrow reaches: local, NFS, S3, GCS."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pyarrow import fs

from raycal.errors import InputError, StorageError, printable
from raycal.home import expand_home

# Of a file; what raycal writes is far smaller, but for models.
MAX_BYTES = 2**28


class Folder:
    """A folder whose files are written whole or not at all. One writer at a time.

    Raises:
        OSError: From every method that reads or writes; of a remote file system it is a `StorageError`.
    """

    def __init__(self, filesystem: fs.FileSystem, path: str, query: str = "") -> None:
        self._filesystem = filesystem
        self.path = path.rstrip("/")
        self._query = query

    @classmethod
    def at(cls, place: str) -> Self:
        """A local path (`~` allowed) or a URI such as `s3://bucket/prefix`; nothing is created.

        Raises:
            InputError: The place is none, or the URI names no filesystem.
        """
        if not place or "\0" in place:
            raise InputError(f"--storage {place!r}: should be a folder or a URI")
        if "://" not in place:
            try:
                path = expand_home(place)
            except InputError as error:
                raise InputError(f"--storage {error}") from error
            return cls(fs.LocalFileSystem(), str(Path(path).absolute()))
        try:
            filesystem, path = fs.FileSystem.from_uri(place)
        except (ValueError, OSError) as error:
            raise InputError(f"--storage {place}: {error}") from error
        return cls(filesystem, path, urlsplit(place).query)

    @property
    def is_local(self) -> bool:
        """Whether the path is one of this machine's file system."""
        return isinstance(self._filesystem, fs.LocalFileSystem)

    @property
    def uri(self) -> str:
        """The place as `at` takes it, with the settings of a remote file system but without credentials."""
        return self.place + (f"?{self._query}" if self._query and not self.is_local else "")

    @property
    def place(self) -> str:
        """The path, or for a remote file system the URI without settings: what a person is told."""
        return self.path if self.is_local else f"{self._filesystem.type_name}://{self.path}"

    def folder(self, name: str) -> "Folder":
        """A folder below this one."""
        return Folder(self._filesystem, f"{self.path}/{name}", self._query)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file: after a crash it holds the old content or the new, never a part."""
        path = f"{self.path}/{name}"
        with self._reached():
            self._filesystem.create_dir(str(Path(path).parent), recursive=True)
            if self.is_local:
                _write_local(Path(path), content)
            else:  # an object appears when its upload is complete
                with self._filesystem.open_output_stream(path) as stream:
                    stream.write(content)

    def read(self, name: str, *, at_most: int = MAX_BYTES) -> bytes | None:
        """The content of a file; None when there is none.

        Raises:
            InputError: It is larger than any that raycal writes there; memory is not taken for it.
        """
        path = f"{self.path}/{name}"
        try:
            with self._reached(), self._filesystem.open_input_file(path) as file:
                if (size := file.size()) > at_most:
                    raise InputError(
                        f"{self.place}/{name}: {size:,} bytes, but raycal writes no more than {at_most:,} there; "
                        "move it away"
                    )
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder is there."""
        with self._reached():
            info = self._filesystem.get_file_info(f"{self.path}/{name}".rstrip("/"))
        return bool(info.type != fs.FileType.NotFound)

    def names(self, pattern: str = "*") -> list[str]:
        """The names of the files in the folder that match, sorted."""
        files = (info.base_name for info in self._content() if info.is_file)
        return sorted(name for name in files if Path(name).match(pattern) and not name.startswith("."))

    def all_names(self) -> list[str]:
        """The paths of all files in the folder and below it, relative to it, sorted."""
        infos = [info for info in self._content(recursive=True) if info.is_file]
        names = (info.path.removeprefix(f"{self.path}/") for info in infos if not info.base_name.startswith("."))
        return sorted(names)

    def remove_if_empty(self) -> None:
        """Delete the folder unless there is something in it."""
        if self.exists() and not self._content():
            with self._reached():
                self._filesystem.delete_dir(self.path)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        try:
            with self._reached():
                self._filesystem.delete_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return

    def _content(self, *, recursive: bool = False) -> list[fs.FileInfo]:
        with self._reached():
            infos: list[fs.FileInfo] = self._filesystem.get_file_info(
                fs.FileSelector(self.path, allow_not_found=True, recursive=recursive)
            )
        return infos

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if self.is_local:
                raise
            raise StorageError(printable(str(error))) from error


def _write_local(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk the next file may need its room
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
