"""Files that are written completely or not at all, on any filesystem that pyarrow reaches: local, NFS, S3, GCS."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pyarrow import fs

from raycal.errors import InputError, StorageError, printable
from raycal.filesystem import open_place

# raycal reads no file with more bytes than this, except model checkpoints (see `MAX_MODEL_BYTES`).
MAX_BYTES = 2**28


class Folder:
    """A folder whose files are written completely or not at all, by one writer at a time.

    Raises:
        OSError: Raised by every method that reads or writes; on a remote filesystem it is a `StorageError`.
    """

    def __init__(self, filesystem: fs.FileSystem, path: str, query: str = "") -> None:
        self._filesystem = filesystem
        self.path = path.rstrip("/")
        self._query = query

    @classmethod
    def at(cls, place: str) -> Self:
        """The folder at a local path (`~` allowed) or at a URI such as `s3://bucket/prefix`; nothing is created.

        Raises:
            InputError: The place is empty or contains a null character, or the URI names no filesystem.
        """
        filesystem, path = open_place(place, setting="--storage", kind="folder")
        return cls(filesystem, path, urlsplit(place).query if "://" in place else "")

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a filesystem of this machine."""
        return isinstance(self._filesystem, fs.LocalFileSystem)

    @property
    def uri(self) -> str:
        """The place in a form that `at` accepts, with the settings of a remote filesystem but without credentials."""
        return self.place + (f"?{self._query}" if self._query and not self.is_local else "")

    @property
    def place(self) -> str:
        """The place as it is shown to a person: the path or, for a remote filesystem, the URI without settings."""
        return self.path if self.is_local else f"{self._filesystem.type_name}://{self.path}"

    def folder(self, name: str) -> "Folder":
        """A folder below this one."""
        return Folder(self._filesystem, f"{self.path}/{name}", self._query)

    def write(self, name: str, content: bytes, *, private: bool = False) -> None:
        """Replace a file; after a crash it has the old content or the new content, never a part of it.

        Args:
            name: The path of the file, relative to the folder.
            content: The new content.
            private: On this machine, let no other user read the file, not even for a moment. In an object store, the
                bucket decides who may read it.
        """
        path = f"{self.path}/{name}"
        with self._reached():
            self._filesystem.create_dir(str(Path(path).parent), recursive=True)
            if self.is_local:
                _write_local(Path(path), content, private=private)
            else:  # In an object store, a file appears when its upload is complete.
                with self._filesystem.open_output_stream(path) as stream:
                    stream.write(content)

    def read(self, name: str, *, at_most: int = MAX_BYTES) -> bytes | None:
        """The content of a file; None if there is no file.

        Raises:
            InputError: The file is larger than `at_most`; it is then not read into memory.
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
        """Whether the file exists or, without a name, whether the folder exists."""
        with self._reached():
            info = self._filesystem.get_file_info(f"{self.path}/{name}".rstrip("/"))
        return bool(info.type != fs.FileType.NotFound)

    def names(self, pattern: str = "*") -> list[str]:
        """The sorted names of the files in the folder that match the pattern; hidden files are left out."""
        files = (info.base_name for info in self._content() if info.is_file)
        return sorted(name for name in files if Path(name).match(pattern) and not name.startswith("."))

    def all_names(self) -> list[str]:
        """The sorted paths, relative to the folder, of all files in it and below it; hidden files are left out."""
        infos = [info for info in self._content(recursive=True) if info.is_file]
        names = (info.path.removeprefix(f"{self.path}/") for info in infos if not info.base_name.startswith("."))
        return sorted(names)

    def stamps(self) -> list[tuple[str, int, int]]:
        """The path, relative to the folder, the size and the time of the last change, in nanoseconds, of each file in
        it and below it, sorted by path; hidden files are left out."""
        infos = [info for info in self._content(recursive=True) if info.is_file and not info.base_name.startswith(".")]
        return sorted((info.path.removeprefix(f"{self.path}/"), info.size, info.mtime_ns) for info in infos)

    def remove_if_empty(self) -> None:
        """Delete the folder if it is empty."""
        if self.exists() and not self._content():
            with self._reached():
                self._filesystem.delete_dir(self.path)

    def remove(self, name: str) -> None:
        """Delete a file if it exists."""
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


def _write_local(path: Path, content: bytes, *, private: bool) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    if private:
        temporary.unlink(missing_ok=True)  # A file that a crash has left would keep its permissions.
    opener = partial(os.open, mode=0o600 if private else 0o666)
    try:
        with open(temporary, "wb", opener=opener) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # On a full disk, the next file may need this space.
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
