"""Checks whether an MLflow server answers. The check does not use MLflow, whose own attempts take minutes."""

import base64
import configparser
import os
from collections.abc import Callable
from http.client import HTTPException
from importlib.metadata import entry_points
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from raycal.errors import InputError
from raycal.tracking.databricks import check_installed, host, is_databricks
from raycal.tracking.failures import is_lasting
from raycal.tracking.schema import check_sqlite, check_version, missing_folder
from raycal.tracking.uri import error_line, is_database, is_server, sqlite_path, with_placeholders, without_secrets

ASK = "/api/2.0/mlflow/experiments/search?max_results=1"
REFUSED = (401, 403)
START_SECONDS = 3.0

Answer = TypeVar("Answer")

# The package to install for a database driver, if its name differs from the module's name.
_PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient"}


class AwayError(InputError):
    """The tracking URI cannot take metrics now, but perhaps later."""


def check_tracking(uri: str) -> str:
    """Refuse, before a sweep starts, a tracking URI that can never take metrics. An unreachable server is accepted.

    Returns:
        The reason why nothing can be sent now, in one line; empty if the tracking URI answers.

    Raises:
        InputError: A person has to correct something first.
    """
    try:
        reach(uri, START_SECONDS)
    except AwayError as error:
        return str(error)
    return ""


def reach(uri: str, seconds: float) -> str:
    """A description of the server or database at a tracking URI.

    Raises:
        InputError: Nothing at the URI can take metrics; an `AwayError` if this may change without a correction.
    """
    if is_server(uri):
        _ask(uri, seconds)
        return f"an MLflow server answers at {without_secrets(uri)}"
    path = sqlite_path(uri)
    if path is not None:
        if uri.partition("://")[0] not in ("sqlite", "sqlite+pysqlite"):
            _import_driver(uri)
        if check_sqlite(path):
            return f"the database {path}"
        folder = missing_folder(path)
        return f"the database {path}, which the sweep makes{'' if folder is None else f', with the folder {folder}'}"
    if is_databricks(uri):
        check_installed(uri)
        try:
            workspace = _within(seconds, lambda: host(uri))
        except TimeoutError as error:
            raise AwayError(f"no answer from the workspace of {without_secrets(uri)} ({error})") from error
        if reason := no_answer(workspace, seconds):
            raise AwayError(f"no answer from {workspace} ({reason}): is it the address of a Databricks workspace?")
        return f"Databricks at {workspace}"
    if is_database(uri):
        _import_driver(uri)
        is_made = _connect_within(uri, seconds)
        return f"the database {without_secrets(uri)}{'' if is_made else ', in which the sweep makes the tables'}"
    return f"{without_secrets(uri)}, which only MLflow itself can reach"


def no_answer(uri: str, seconds: float) -> str:
    """The reason why a server does not answer at all, regardless of credentials; empty if it answers.

    The content of the answer is not read, because the URI may also be the address of a large file.
    """
    try:
        urlopen(without_secrets(uri), timeout=seconds).close()
    except HTTPError as error:  # An HTTP error is an answer, unless it comes from a proxy with no server behind it.
        return f"{error.code} {error.reason}" if error.code >= 500 else ""
    # A ValueError means that the URI is not the address of a server.
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""


def _ask(uri: str, seconds: float) -> None:
    shown = without_secrets(uri)
    request = Request(shown.rstrip("/") + ASK, headers=_credentials(uri))
    try:
        with urlopen(request, timeout=seconds) as answer:
            answer.read(1)
    except HTTPError as error:
        if error.code in REFUSED:
            if _has_other_credentials():
                raise AwayError(f"the server at {shown} answers {error.code} to a request without a plugin") from error
            names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            refusal = "refuses the credentials" if request.headers else "requires credentials"
            raise InputError(f"the server at {shown} {refusal} ({error.code}): set {names}") from error
        raise AwayError(f"the server at {shown} answers {error.code} {error.reason}: is it MLflow?") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise AwayError(f"no answer from {shown} ({reason}): start the server, or give another tracking.uri") from error


def _credentials(uri: str) -> dict[str, str]:
    """The authorization header, from the URI or from the places where MLflow reads credentials."""
    parts, environment, saved = urlsplit(uri), os.environ, _saved_credentials()
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    else:
        user = environment.get("MLFLOW_TRACKING_USERNAME") or saved.get("mlflow_tracking_username", "")
        password = environment.get("MLFLOW_TRACKING_PASSWORD") or saved.get("mlflow_tracking_password", "")
    if user:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _saved_credentials() -> dict[str, str]:
    """The user and password from MLflow's credentials file."""
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
    except (configparser.Error, OSError, RuntimeError, UnicodeDecodeError):
        return {}
    return dict(file["mlflow"]) if "mlflow" in file else {}


def _has_other_credentials() -> bool:
    """Whether MLflow authenticates in a way that this module cannot use, such as a plugin or a client certificate."""
    names = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_CLIENT_CERT_PATH")
    plugins = {plugin.value.partition(".")[0] for plugin in entry_points(group="mlflow.request_header_provider")}
    return any(os.environ.get(name) for name in names) or bool(plugins - {"mlflow"})


def _import_driver(uri: str) -> None:
    """Refuse a database whose driver is not installed, or whose URI SQLAlchemy cannot parse."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    shown = without_secrets(uri)
    try:
        dialect = make_url(uri).get_dialect()
        dialect.import_dbapi()
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        install = f"pip install {_PACKAGES.get(package, package)}" if package else error_line(error, uri)
        database = uri.partition(":")[0]
        raise InputError(f"tracking.uri: {shown}: the driver of {database} is not installed: {install}") from error
    except (SQLAlchemyError, ValueError) as error:
        raise InputError(
            f"tracking.uri: {shown}: SQLAlchemy, which MLflow uses, refuses it: {error_line(error, uri)}"
        ) from error
    if dialect.is_async:
        raise InputError(f"tracking.uri: {shown}: MLflow cannot use a driver for asyncio; name another after the +")


def _connect_within(uri: str, seconds: float) -> bool:
    """Whether the database has the tables of MLflow.

    Raises:
        InputError: The database refuses the connection; an `AwayError` if it does not answer in time.
    """
    shown = without_secrets(uri)
    try:
        result = _within(seconds, lambda: _version(uri))
    except Exception as error:  # Each driver has its own error classes.
        said = error_line(error, uri)
        if is_lasting(error):
            raise InputError(f"tracking.uri: {shown}: {said}; correct tracking.uri or the database") from error
        raise AwayError(f"no answer from {shown} ({said}): start the database, or give another tracking.uri") from error
    if result is not None:
        check_version(result, shown, with_placeholders(uri))
    return result is not None


def _within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Run `work` in a separate thread, and return or raise what it returns or raises.

    Raises:
        TimeoutError: The work is not done within this number of seconds.
    """
    answers: list[Answer] = []
    errors: list[Exception] = []

    def answer() -> None:
        try:
            answers.append(work())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=answer, name="raycal-reach", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]


def _version(uri: str) -> str | None:
    """The schema version of the database; None if it has no tables of MLflow."""
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.pool import NullPool

    with create_engine(uri, poolclass=NullPool).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version = connection.execute(text("select version_num from alembic_version")).scalar()
        return None if version is None else str(version)
