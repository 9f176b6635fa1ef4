"""Reads the files of the page once, when the server starts."""

import gzip
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
# Files of other types are never served.
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class StaticFile(NamedTuple):
    """A file of the page.

    Attributes:
        content: Its bytes.
        content_type: Its media type.
        etag: A digest of its content, quoted as in the header `ETag`.
        zipped: Its bytes, compressed with gzip to about a third.
    """

    content: bytes
    content_type: str
    etag: str
    zipped: bytes


def etag_of(content: bytes) -> str:
    """The header `ETag` of a response with this content."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def static_files(folder: Path = FOLDER) -> Mapping[str, StaticFile]:
    """The files below a folder by their path relative to it.

    A request can only name a file of this mapping, so no path that a client sends ever reaches the file system.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is not None and path.is_file() and not path.name.startswith("."):
            content = path.read_bytes()
            files[path.relative_to(folder).as_posix()] = StaticFile(
                content, content_type, etag_of(content), gzip.compress(content, mtime=0)
            )
    return files
