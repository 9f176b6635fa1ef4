"""Tests which tracking URIs are refused, and which parts of a URI messages show."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from raycal.errors import InputError
from raycal.storage.folder import Folder
from raycal.storage.sweep_dir import SweepDir
from raycal.tracking.failures import is_lasting
from raycal.tracking.uri import (
    error_line,
    has_secrets,
    sqlite_path,
    sqlite_uri,
    tracking_uri,
    with_placeholders,
    without_secrets,
)


@pytest.fixture(autouse=True)
def no_file_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return SweepDir(Folder.at(str(tmp_path / "tiny")))


REFUSED = {
    "localhost:5000": "did you mean http://localhost:5000?",
    "127.0.0.1:5000": "did you mean http://127.0.0.1:5000?",
    "[::1]:5000": "did you mean http://[::1]:5000?",
    "tracking.example.org:80/mlflow": "did you mean http://tracking.example.org:80/mlflow?",
    "localhost": "did you mean http://localhost?",
    "http:/host:5000": "did you mean http://host:5000?",
    "sqlite:mlflow.db": "did you mean sqlite:///mlflow.db?",
    "sqlite://": "a database in memory is lost",
    "sqlite:///": "a database in memory is lost",
    "sqlite:///:memory:": "a database in memory is lost",
    "SQLite:///:memory:": "a database in memory is lost",
    "sqlite:///file::memory:?cache=shared&uri=true": "a database in memory is lost",
    "sqlite:///file:x?mode=memory&uri=true": "a database in memory is lost",
    "sqlite://data/mlflow.db": "should be sqlite:///data/mlflow.db, with three slashes",
    "sqlite:////data/": "names a folder; give a file, as in sqlite:////data/mlflow.db",
    "mlflow.db": "did you mean sqlite:///mlflow.db?",
    "./mlruns": "do not track into a folder of files any more",
    "mlruns": "do not track into a folder of files any more",
    "/data/mlruns": "do not track into a folder of files any more",
    "file:///data/mlruns": "do not track into a folder of files any more",
    "file:mlruns": "do not track into a folder of files any more",
    "postgres://host/db": "did you mean postgresql://host/db?",
    "s3://bucket/x": "MLflow knows no s3://; give one of databricks, http, https, ",
    "uc": "Unity Catalog holds models but no runs",
}


@pytest.mark.parametrize("uri", REFUSED)
def test_what_can_never_work_is_refused_in_one_line(uri: str, sweep_dir: SweepDir) -> None:
    with pytest.raises(InputError) as refused:
        tracking_uri(uri, sweep_dir)

    (line,) = refused.value.problems
    assert line.startswith("tracking.uri: ")
    assert REFUSED[uri] in line


@pytest.mark.parametrize(
    "uri",
    ["http://h:5000", "https://h/mlflow", "databricks", "databricks://prod", "sqlite:////a b/x.db", "mysql://h/d"],
)
def test_what_may_work_is_taken_as_it_is(uri: str, sweep_dir: SweepDir) -> None:
    assert tracking_uri(f" {uri}\n", sweep_dir) == uri


def test_folder_of_files_is_taken_when_mlflow_was_told_to(sweep_dir: SweepDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")

    assert tracking_uri("./mlruns", sweep_dir) == "./mlruns"


@pytest.mark.parametrize("name", ["runs", "what?", "100%20", "a b", "a#b", "ü", "x%3F?y"])
def test_sqlite_uri_names_its_file_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    uri = tracking_uri(None, SweepDir(Folder.at(str(tmp_path / name / "tiny"))))
    path = tmp_path / name / "mlflow.db"

    assert sqlite_path(uri) == path
    assert sqlite_path(sqlite_uri(path)) == path
    from sqlalchemy.engine import make_url  # SQLAlchemy parses the URI for MLflow.

    assert make_url(uri).database == str(path)


def test_ordinary_sqlite_uri_is_written_as_always() -> None:
    assert sqlite_uri(Path("/my runs/mlflow.db")) == "sqlite:////my runs/mlflow.db"
    assert sqlite_path("sqlite:///mlflow.db?timeout=5") == Path("mlflow.db")
    assert sqlite_path("http://h") is None


SHOWN = {
    "http://ann:s3cret@host:5000/x": "http://host:5000/x",
    "https://s3cret@host": "https://host",
    "http://ann:s3/cret@host:5000": "http://host:5000",
    "postgresql://ann:s3cret@host:5432/db": "postgresql://host:5432/db",
    "postgresql+psycopg2://ann:s3c@ret@host/db": "postgresql+psycopg2://host/db",
    "mysql+pymysql://ann:s3/c@ret@host/db?charset=utf8": "mysql+pymysql://host/db?charset=utf8",
    "postgresql://host/db?user=ann&password=s3cret": "postgresql://host/db?user=ann&password=***",
    "mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret": "mssql+pyodbc:///?odbc_connect=***",
    "foo://ann:s3cret@host": "foo://host",
}


@pytest.mark.parametrize("uri", SHOWN)
def test_no_password_is_shown(uri: str) -> None:
    assert without_secrets(uri) == SHOWN[uri]
    assert has_secrets(uri)


@pytest.mark.parametrize(
    "uri", ["postgresql://ann@host/db", "http://host/a@b", "sqlite:////a@b/x:y@z.db", "./mlruns", "databricks"]
)
def test_what_is_no_secret_is_shown(uri: str) -> None:
    assert without_secrets(uri) == uri
    assert not has_secrets(uri)


@pytest.mark.parametrize("uri", SHOWN)
@pytest.mark.parametrize("spoil", ["no host", "one slash", "unknown scheme", "no scheme"])
def test_refusal_shows_no_password(uri: str, spoil: str, sweep_dir: SweepDir) -> None:
    spoilt = {
        "no host": uri.replace("host", "", 1),
        "one slash": uri.replace("://", ":/", 1),
        "unknown scheme": f"x{uri}",
        "no scheme": uri.partition("://")[2],
    }
    with suppress(InputError):  # Some of the altered URIs are still valid.
        tracking_uri(spoilt[spoil], sweep_dir)
        return
    with pytest.raises(InputError) as refused:
        tracking_uri(spoilt[spoil], sweep_dir)
    assert re.search("s3|cret", str(refused.value)) is None


@pytest.mark.parametrize(
    ("message", "uri", "line"),
    [
        ("(x) no: postgresql://ann:s3cret@h/d\nBackground", "postgresql://ann:s3cret@h/d", "(x) no: postgresql://h/d"),
        ('no host "cret@h"', "postgresql://ann:s3@cret@h/d", 'no host "***@h"'),
        ("API request to http://ann:s3cret@h/api failed", "http://ann:s3cret@h", "API request to http://h/api failed"),
        ("password is s3 cret", "http://ann:s3%20cret@h", "password is ***"),
        ("\n\n", "http://h", "ValueError"),
    ],
)
def test_messages_of_errors_show_no_password(message: str, uri: str, line: str) -> None:
    shown = error_line(ValueError(message), uri)
    assert shown == line
    assert "cret" not in shown


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('FATAL:  password authentication failed for user "ann"', True),
        ('FATAL:  database "x" does not exist', True),
        ("(1045, \"Access denied for user 'ann'@'h' (using password: YES)\")", True),
        ("Detected out-of-date database schema (found version a, but expected b)", True),
        ("API request to endpoint /x failed with error code 401 != 200", True),
        ("API request to endpoint /x failed with error code 503 != 200", False),
        ("connection to server at h failed: Connection refused", False),
        ("(sqlite3.OperationalError) database is locked", False),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
    ],
)
def test_errors_that_last_are_told_from_those_that_pass(message: str, expected: bool) -> None:
    assert is_lasting(RuntimeError(message)) is expected
    outer = RuntimeError("outer")
    outer.__cause__ = RuntimeError(message)
    assert is_lasting(outer) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql+psycopg2://ann:s3cret@127.0.0.1:5499/db", "postgresql+psycopg2://USER:PASSWORD@127.0.0.1:5499/db"),
        ("mysql+pymysql://ann:s3/c@ret@host/db?charset=utf8", "mysql+pymysql://USER:PASSWORD@host/db?charset=utf8"),
        ("postgresql://host/db?user=ann&password=s3cret", "postgresql://host/db?user=ann&password=PASSWORD"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=ODBC_CONNECT"),
        ("https://s3cret@host", "https://TOKEN@host"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("sqlite:////a@b/x:y@z.db", "sqlite:////a@b/x:y@z.db"),
    ],
)
def test_placeholders_stand_where_a_secret_is_hidden(uri: str, expected: str) -> None:
    assert with_placeholders(uri) == expected


def test_long_message_of_an_error_is_cut_after_a_word() -> None:
    message = "HTTPConnectionPool(host='127.0.0.1', port=5000): " + "Max retries exceeded with url " * 20

    line = error_line(ValueError(message), "http://h")
    assert 250 < len(line) <= 300
    assert line.endswith("…")
    assert message.startswith(line[:-1])
    assert message[len(line) - 1] == " "
