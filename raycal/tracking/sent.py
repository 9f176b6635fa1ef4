"""A record on this machine that MLflow has everything of a sweep. With it, a further start need not import MLflow.

The record lies in raycal's cache folder. It is only kept for a sqlite file and a sweep folder on this machine, because
only there can it be seen that nothing has changed since: neither the sweep folder, nor the database, from which
somebody may have deleted runs.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from raycal import __version__
from raycal.data.cache import cache_dir
from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.tracking.uri import sqlite_path

RECORDS = "sent-to-mlflow"  # The folder of the records in the cache folder.


def write_record(folder: Folder, uri: str, status: str, description: str, pages: Mapping[str, str]) -> None:
    """Record that MLflow has everything of the sweep.

    Args:
        folder: The sweep folder.
        uri: The tracking URI.
        status: The final status of the sweep's run.
        description: The description of the sweep's run.
        pages: The paths of the sweep's views in the MLflow UI.
    """
    digest = _digest(folder, uri, status, description)
    if digest is not None:
        file = _record(folder, uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"digest": digest, "pages": dict(pages)}))


def pages_if_sent(folder: Folder, uri: str, status: str, description: str) -> dict[str, str] | None:
    """The paths of the sweep's views in the MLflow UI, if MLflow already has everything of the sweep. None if it may
    not have everything."""
    try:
        record = json.loads(_record(folder, uri).read_bytes())
        if record["digest"] == _digest(folder, uri, status, description):
            return {str(title): str(path) for title, path in record["pages"].items()}
    except (OSError, InputError, ValueError, LookupError, TypeError, AttributeError):
        pass  # There is no record, or it is damaged, which is as good as none.
    return None


def record_name(folder: Folder, uri: str) -> str:
    """The file name of the record for a sweep folder and a tracking URI."""
    return f"{hashlib.sha256(f'{folder.place} {uri}'.encode()).hexdigest()}.json"


def _record(folder: Folder, uri: str) -> Path:
    return cache_dir() / RECORDS / record_name(folder, uri)


def _digest(folder: Folder, uri: str, status: str, description: str) -> str | None:
    """A digest of everything that is sent and of the state of the database; None if the state cannot be known."""
    database = sqlite_path(uri)
    if database is None or not folder.is_local:
        return None
    try:
        state = database.stat()
    except OSError:
        return None
    facts = [__version__, uri, status, description, state.st_size, state.st_mtime_ns, folder.stamps()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
