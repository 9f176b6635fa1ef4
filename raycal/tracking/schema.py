"""Checks the schema version of an MLflow database, and creates a new sqlite file exactly once.

MLflow 3.17 creates its tables when it first opens a database, without a lock and in many steps. Two processes that open
a new file together, or a process that is killed meanwhile, leave a file that MLflow can never open again. A new file is
therefore created under a temporary name while a lock is held, and gets its final name when it is complete.
"""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote

from filelock import BaseFileLock, FileLock, Timeout

from raycal.errors import InfrastructureError, InputError
from raycal.home import nearest_existing
from raycal.tracking.uri import sqlite_path, sqlite_uri

LOCK_SECONDS = 120.0
ARTIFACTS = "mlartifacts"  # The folder for the files of the runs, which lies beside the sqlite file.


def check_sqlite(path: Path) -> bool:
    """Whether the file is a database of the installed MLflow; False if there is no database yet.

    Raises:
        InputError: The file is not a database of the installed MLflow, or cannot be written.
    """
    if path.is_dir():
        raise InputError(f"tracking.uri: {path}: is a folder; give a file in it, as in {path / 'mlflow.db'}")
    _check_writable(path)
    try:
        version = _sqlite_version(path)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):  # Another process is writing to the database.
            return True
        raise InputError(f"{path}: the database cannot be opened ({error}); give another tracking.uri") from error
    except sqlite3.Error as error:
        raise InputError(
            f"{path}: no database of MLflow ({error}); move it away, or give another tracking.uri"
        ) from error
    if version is None:
        return False
    check_version(version, str(path), sqlite_uri(path))
    return True


def missing_folder(path: Path) -> Path | None:
    """The parent folder that has to be created for a database; None if it exists."""
    folder = path.absolute().parent
    return None if folder.is_dir() else folder


def check_version(version: str, shown: str, uri: str) -> None:
    """Refuse a database whose schema is not the schema of the installed MLflow.

    Args:
        version: The revision in the table `alembic_version`.
        shown: The name of the database in messages.
        uri: The tracking URI of the database, without secrets, for the command that upgrades it.

    Raises:
        InputError: The schema differs, so that MLflow would refuse the database, too.
    """
    known = _revisions()
    heads = known.keys() - known.values()
    if not known or version in heads:
        return
    again = "or give another tracking.uri: python -m raycal.track sends the sweeps there from their folders"
    if version in known:
        raise InputError(
            f"{shown}: the database was made by an older MLflow, or making it was cut off (schema {version}); back it "
            f"up and run: mlflow db upgrade '{uri}'; {again}"
        )
    raise InputError(
        f"{shown}: the database was made by another, probably newer, MLflow (schema {version} is unknown here); "
        f"install that MLflow, {again}"
    )


def make_sqlite(uri: str) -> None:
    """Create the file of a sqlite URI with all tables of MLflow, unless it exists. Other URIs are ignored.

    Raises:
        InfrastructureError: Another process has been creating the file for two minutes.
    """
    path = sqlite_path(uri)
    if path is None:
        return
    _remove_leftovers(path)
    if _is_complete(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        if not _is_complete(path):
            _make(path, uri)


def follow_artifacts(uri: str) -> None:
    """Update the artifact locations in a sqlite file after the folder with the database and the artifacts was moved.

    MLflow stores the absolute location of every run's files, and has no function to change it.
    """
    path = sqlite_path(uri)
    if path is None or not path.exists():
        return
    here = path.absolute().parent / ARTIFACTS
    if not here.is_dir():
        return
    with _locked(path), closing(sqlite3.connect(path, timeout=20)) as database, database:
        places = {place for (place,) in database.execute("select artifact_location from experiments") if place}
        for place in sorted(places):
            folder, name = place.rpartition("/")[::2]
            was = Path(unquote(folder.removeprefix("file://")))
            is_ours = folder.startswith("file:///") and was.name == ARTIFACTS and was != here
            if not is_ours or was.exists() or not (here / unquote(name)).is_dir():
                continue
            new = (here / unquote(name)).as_uri()
            database.execute("update experiments set artifact_location = ? where artifact_location = ?", (new, place))
            database.execute(
                "update runs set artifact_uri = ? || substr(artifact_uri, ?) where substr(artifact_uri, 1, ?) = ?",
                (new, len(place) + 1, len(place) + 1, f"{place}/"),
            )


def _make(path: Path, uri: str) -> None:
    from mlflow import MlflowClient

    if path.exists():  # The file may be empty or an older database. MLflow can handle both cases.
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        MlflowClient(tracking_uri=sqlite_uri(temporary)).search_experiments(max_results=1)
        try:
            # Unlike a rename, this call never replaces a file that another program has just created.
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # The file system has no links.
            temporary.rename(path)
    finally:
        for file in _of_unfinished(path, os.getpid()):
            file.unlink(missing_ok=True)


def _of_unfinished(path: Path, process: int | str = "*") -> Iterator[Path]:
    """The files of a database that a process (by default any process) has not finished, with sqlite's side files."""
    name = escape(path.name)
    for ending in ("", "-journal", "-wal", "-shm"):
        yield from path.parent.glob(f".{name}.{process}.new{ending}")


def _remove_leftovers(path: Path) -> None:
    """Remove the unfinished databases of processes that were killed.

    A running process holds the lock while it creates a database. On a file system without locks nothing is removed,
    because the file may belong to a process on another machine.
    """
    if not any(_of_unfinished(path)):
        return
    with _locked(path) as is_locked:
        for file in _of_unfinished(path) if is_locked else ():
            with suppress(OSError):
                file.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock file beside a database; the system releases the lock however the process ends.

    Yields whether the lock is held: False on a file system without locks.
    """
    lock: BaseFileLock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout as error:
        raise InfrastructureError(
            f"another process has been making {path} for {LOCK_SECONDS:g} s and holds {lock.lock_file}"
        ) from error
    except (OSError, NotImplementedError):
        # The file system has no locks. Without a lock, the database still appears only when it is complete.
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _is_complete(path: Path) -> bool:
    """Whether the database has everything that MLflow would create in it."""
    with suppress(sqlite3.Error):
        version = _sqlite_version(path)
        known = _revisions()
        return version is not None and version in known.keys() - known.values() and _has_experiments(path)
    return False


def _has_experiments(path: Path) -> bool:
    with _opened(path) as database:
        return bool(database.execute("select 1 from experiments limit 1").fetchone())


def _sqlite_version(path: Path) -> str | None:
    """The schema version of a sqlite file; None if it has no tables of MLflow or does not exist."""
    if not path.exists() or not path.stat().st_size:
        return None
    with _opened(path) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
        if "alembic_version" not in tables:
            return None
        row = database.execute("select version_num from alembic_version").fetchone()
        return None if row is None else str(row[0])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing database for reading.

    The mode is `rw`, because sqlite may have to write first: it rolls back a transaction that a killed process left.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=1)) as database:
        yield database


def _check_writable(path: Path) -> None:
    """Refuse a file that cannot be written or created. The files created for this test are removed again."""
    place = path.absolute()
    nearest = nearest_existing(place)
    folder = nearest.parent if nearest == place else nearest
    if not folder.is_dir():
        raise InputError(f"tracking.uri: {path}: {folder} is a file")
    if not os.access(nearest, os.W_OK) or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"tracking.uri: {path}: no permission to write in {folder}")
    # Some folders, such as /proc, refuse every new file despite their permissions. Other folders refuse such long
    # names.
    try:
        with tempfile.TemporaryDirectory(prefix=".raycal-", dir=folder) as trial:
            file = Path(trial, place.relative_to(folder))
            file.parent.mkdir(parents=True, exist_ok=True)
            # This is the longest name that is created in the folder.
            file.with_name(f".{file.name}.{os.getpid()}.new-journal").touch()
    except OSError as error:
        raise InputError(
            f"tracking.uri: {path}: no file can be made in {folder} ({error.strerror or error}); give another"
        ) from error


@cache
def _revisions() -> dict[str, str | None]:
    """All schema versions that the installed MLflow knows, each with its predecessor."""
    spec = find_spec("mlflow")  # This does not import MLflow.
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    previous: dict[str, str | None] = {}
    for place in places:
        for file in Path(place, "store", "db_migrations", "versions").glob("*.py"):
            text = file.read_text(encoding="utf-8")
            if revision := re.search(r"""^revision\b[^=\n]*=\s*["'](\w+)""", text, re.MULTILINE):
                before = re.search(r"""^down_revision\b[^=\n]*=\s*["'](\w+)""", text, re.MULTILINE)
                previous[revision[1]] = before[1] if before else None
    return previous
