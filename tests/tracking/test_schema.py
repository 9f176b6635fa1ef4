"""Tests that any number of processes create MLflow's tables in a sqlite file exactly once and completely."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from raycal.errors import InputError
from raycal.tracking import schema
from raycal.tracking.reach import AwayError, check_tracking, reach
from raycal.tracking.uri import sqlite_uri

MAKE = "import sys; from raycal.tracking.schema import make_sqlite; make_sqlite(sys.argv[1])"
# With such a small cache, sqlite writes to the file before the transaction ends, and leaves a journal to roll it back.
DIE_IN_A_WRITE = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("pragma cache_size = 1")
database.execute("update alembic_version set version_num = 'torn'")
database.executemany("insert into metrics values (?, 0, 0, 'run', 0, 0)", ((f"{n:0200}",) for n in range(1000)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def version(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("select version_num from alembic_version").fetchall()


@pytest.mark.slow
def test_new_database_is_made_once_by_processes_that_start_together(tmp_path: Path, empty_database: Path) -> None:
    path = tmp_path / "what?" / "mlflow.db"
    makers = [subprocess.Popen([sys.executable, "-c", MAKE, sqlite_uri(path)], stderr=subprocess.PIPE) for _ in "1234"]
    said = [maker.communicate()[1] for maker in makers]

    assert [maker.returncode for maker in makers] == [0, 0, 0, 0], said
    assert version(path) == version(empty_database)
    assert {file.name for file in path.parent.iterdir()} <= {"mlflow.db", ".mlflow.db.lock"}
    assert {file.name for file in tmp_path.iterdir()} == {"what?"}


def test_database_that_is_being_made_is_not_seen_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlflow.db"

    def die(tracking_uri: str) -> None:
        Path(tracking_uri.removeprefix("sqlite:///")).write_bytes(b"a part")
        raise KeyboardInterrupt

    monkeypatch.setattr("mlflow.MlflowClient", die)
    with pytest.raises(KeyboardInterrupt):
        schema.make_sqlite(sqlite_uri(path))

    assert not path.exists()


def test_complete_database_needs_no_lock(tmp_path: Path, empty_database: Path) -> None:
    path = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    schema.make_sqlite(sqlite_uri(path))

    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]


def test_lock_left_by_a_dead_process_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / ".mlflow.db.lock").write_text("12345")
    with schema._locked(tmp_path / "mlflow.db"):
        pass


def test_lock_of_a_process_that_hangs_ends_in_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.1)
    hold = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n print(1, flush=True)\n sys.stdin.readline()"
    lock = str(tmp_path / ".mlflow.db.lock")
    with subprocess.Popen(
        [sys.executable, "-c", hold, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        with pytest.raises(Exception, match=r"another process has been making .* and holds .*\.mlflow\.db\.lock"):
            schema.make_sqlite(sqlite_uri(tmp_path / "mlflow.db"))
        holder.kill()

    with schema._locked(tmp_path / "mlflow.db"):
        pass


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("known", r"made by an older MLflow.*mlflow db upgrade 'sqlite:///.*/mlflow\.db'"),
        ("ffffffffffff", "made by another, probably newer, MLflow"),
    ],
)
def test_database_of_another_version_is_refused(found: str, words: str, tmp_path: Path, empty_database: Path) -> None:
    path = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    if found == "known":
        found = next(before for before in schema._revisions().values() if before is not None)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update alembic_version set version_num = ?", (found,))

    with pytest.raises(InputError, match=words) as refused:
        check_tracking(sqlite_uri(path))
    assert len(refused.value.problems) == 1


def test_database_of_this_version_is_taken(empty_database: Path) -> None:
    assert schema.check_sqlite(empty_database)
    assert len(schema._revisions()) > 50


def test_write_that_was_cut_off_is_rolled_back(tmp_path: Path, empty_database: Path) -> None:
    path = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    writer = subprocess.run([sys.executable, "-c", DIE_IN_A_WRITE, str(path)], check=False)

    assert writer.returncode == -signal.SIGKILL
    assert (tmp_path / "mlflow.db-journal").stat().st_size > 0
    assert schema.check_sqlite(path)
    assert version(path) == version(empty_database)


def test_file_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()

    with pytest.raises(InputError, match="is a file"):
        check_tracking(sqlite_uri(tmp_path / "file" / "mlflow.db"))
    with pytest.raises(InputError, match="is a folder"):
        check_tracking(sqlite_uri(tmp_path / "folder"))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mysql://ann:s3cret@h/d", r"the driver of mysql is not installed: pip install mysqlclient"),
        ("mysql+pymysql://ann:s3cret@h/d", "pip install pymysql"),
        ("postgresql+nothing://ann:s3cret@h/d", "SQLAlchemy, which MLflow uses, refuses it"),
        ("postgresql+psycopg2://ann:s3cret@h:port/d", "SQLAlchemy, which MLflow uses, refuses it"),
    ],
)
def test_database_without_its_driver_is_refused_at_the_start(uri: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        check_tracking(uri)
    assert "s3cret" not in str(refused.value)


def test_database_that_is_away_is_no_reason_not_to_start() -> None:
    uri = "postgresql+psycopg2://ann:s3cret@127.0.0.1:1/d"
    reason = check_tracking(uri)
    assert reason.startswith("no answer from postgresql+psycopg2://127.0.0.1:1/d (")
    assert reason.endswith("refused): start the database, or give another tracking.uri")
    with pytest.raises(AwayError, match=r"no answer from .*127\.0\.0\.1:1/d .*refused") as away:
        reach(uri, 5)
    assert "s3cret" not in str(away.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.parametrize("file", ["/proc/a.db", "/proc/missing/a.db"])
def test_place_where_no_file_can_be_made_is_refused(file: str) -> None:
    with pytest.raises(InputError, match=rf"tracking\.uri: {file}: no file can be made in /proc") as refused:
        check_tracking(f"sqlite:///{file}")

    assert len(refused.value.problems) == 1


def test_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file can be made in .* \(File name too long\)"):
        check_tracking(sqlite_uri(tmp_path / f"{'a' * 250}.db"))


def test_asking_whether_a_file_can_be_made_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "deeper" / "mlflow.db"

    assert reach(sqlite_uri(path), 5) == f"the database {path}, which the sweep makes, with the folder {path.parent}"
    assert list(tmp_path.iterdir()) == []


def test_unfinished_databases_of_killed_processes_are_removed(tmp_path: Path, empty_database: Path) -> None:
    path = Path(shutil.copy(empty_database, tmp_path / "mlflow[1].db"))
    for name in (".mlflow[1].db.25562.new", ".mlflow[1].db.25562.new-journal", ".mlflow1.db.25562.new"):
        (tmp_path / name).touch()
    schema.make_sqlite(sqlite_uri(path))

    assert sorted(file.name for file in tmp_path.iterdir()) == [
        ".mlflow1.db.25562.new",
        ".mlflow[1].db.lock",
        "mlflow[1].db",
    ]


def test_unfinished_database_stays_where_no_lock_tells_whether_its_process_lives(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    path = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    (tmp_path / ".mlflow.db.25562.new").touch()
    schema.make_sqlite(sqlite_uri(path))

    assert (tmp_path / ".mlflow.db.25562.new").exists()
