"""The places where the encoded images of a dataset are: a folder, files in several places, or a table with the images.

A place is joined with a name by `/`, as a folder is joined with the name of a file in it.
"""

import hashlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from raycal.data.cache import cache_dir

if TYPE_CHECKING:
    import pyarrow as pa

MAX_SUFFIX = 8


class Place(Protocol):
    """A folder, or anything else that has an encoded image for each name. It is hashable, and its text names it to a
    person."""

    def __truediv__(self, name: str, /) -> "Path | InMemory": ...

    def __hash__(self) -> int: ...


class FilePlace(Protocol):
    """A place that has a file for each name: a folder, or files in several places."""

    def __truediv__(self, name: str, /) -> Path: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """An encoded image that is in memory instead of in a file."""

    content: bytes

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The content of the image as a file that is open for reading."""
        return io.BytesIO(self.content)


@dataclass(frozen=True, slots=True)
class ListedFiles:
    """Files that a table names: below a folder, by absolute paths, or by URLs whose files are kept in the cache.

    Attributes:
        folder: The folder that relative paths start from.
    """

    folder: Path

    def __truediv__(self, name: str, /) -> Path:
        return cached_file(name) if is_url(name) else self.folder / name

    def __str__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True, slots=True)
class ImagesInTable:
    """Encoded images in the cells of columns, or files that the cells name.

    Attributes:
        title: The name of the dataset, for messages.
        key: A value that changes whenever the content of the cells may change.
        cells: For each part of the dataset, by its name, a column of cells with the fields `bytes` and `path`. The name
            of an image is the name of its part and its row, such as `train/7`.
    """

    title: str
    key: tuple[str, ...]
    cells: "dict[str, pa.ChunkedArray]" = field(compare=False)

    def __truediv__(self, name: str, /) -> Path | InMemory:
        part, _, row = name.rpartition("/")
        cell = self.cells[part][int(row)].as_py() or {}
        if cell.get("bytes") is None and cell.get("path"):
            return Path(cell["path"])
        return InMemory(cell.get("bytes") or b"")

    def __str__(self) -> str:
        return self.title


def is_url(name: str) -> bool:
    """Whether a name is a URL and not a path."""
    return "://" in name


def cached_file(url: str) -> Path:
    """The file of the cache that has, or will have, the content of a URL."""
    suffix = os.path.splitext(url.partition("?")[0].rpartition("/")[2])[1]
    digest = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_dir() / "downloads" / "urls" / digest[:2] / f"{digest}{suffix if len(suffix) <= MAX_SUFFIX else ''}"
