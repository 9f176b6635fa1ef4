"""Whether an MLflow server answers, asked without MLflow, whose own attempts take minutes."""

import base64
import os
import sqlite3
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from raycal.errors import InputError

ASK = "/api/2.0/mlflow/experiments/search?max_results=1"
REFUSED = (401, 403)


def reach(uri: str, seconds: float) -> str:
    """What is at a tracking URI, in words.

    Raises:
        InputError: Nothing that could take metrics.
    """
    parts = urlsplit(uri)
    if is_server(uri):
        _ask(uri, seconds)
        return f"an MLflow server answers at {without_secrets(uri)}"
    if parts.scheme == "sqlite":
        path = Path(uri.removeprefix("sqlite:///"))
        return f"the database {path}" if _has_tables(path) else f"the database {path}, which the sweep makes"
    return f"{without_secrets(uri)}, which only MLflow itself can reach"


def is_server(uri: str) -> bool:
    """Whether it is reached over the network."""
    return urlsplit(uri).scheme in ("http", "https")


def no_answer(uri: str, seconds: float) -> str:
    """Why nothing at all answers at the URI of a server, whoever asks; empty when something does."""
    try:
        urlopen(without_secrets(uri), timeout=seconds).close()
    except HTTPError as error:  # which is an answer, but for that of a proxy with nothing behind it
        return f"{error.code} {error.reason}" if error.code >= 500 else ""
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
    return ""


def without_secrets(uri: str) -> str:
    """The URI without a user and a password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _ask(uri: str, seconds: float) -> None:
    shown = without_secrets(uri)
    request = Request(shown.rstrip("/") + ASK, headers=_credentials(uri))
    try:
        with urlopen(request, timeout=seconds) as answer:
            answer.read(1)
    except HTTPError as error:
        if error.code in REFUSED:
            names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            raise InputError(f"the server at {shown} wants to know who asks ({error.code}): set {names}") from error
        raise InputError(f"the server at {shown} answers {error.code} {error.reason}: is it MLflow?") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"no answer from {shown} ({reason}): start the server, or give another tracking.uri"
        ) from error


def _credentials(uri: str) -> dict[str, str]:
    """The header that says who asks, from the URI or from what MLflow reads."""
    parts, environment = urlsplit(uri), os.environ
    user = parts.username or environment.get("MLFLOW_TRACKING_USERNAME")
    if user is not None:
        password = parts.password or environment.get("MLFLOW_TRACKING_PASSWORD", "")
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _has_tables(path: Path) -> bool:
    """Whether a database of MLflow is there; InputError when the file is something else."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            return bool(database.execute("select 1 from sqlite_master where name = 'experiments'").fetchone())
    except sqlite3.Error as error:
        raise InputError(
            f"{path}: no database of MLflow ({error}); move it away, or give another tracking.uri"
        ) from error
