"""Decides which errors of a tracking server are permanent, and hides repeated messages of MLflow."""

import logging
import re
import warnings
from http import HTTPStatus

# Error messages of databases about a wrong user, password, database name or schema.
_LASTING = re.compile(
    "|".join(
        (
            "password authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            r"role \S+ does not exist",
            r"database \S+ does not exist",
            r"permission denied for (?:table|schema|database|relation)",
            "Access denied for user",
            "Unknown database",
            "Login failed for user",
            "Cannot open database",
            "Can't load plugin: sqlalchemy.dialects",
            "out-of-date database schema",
            "Can't locate revision identified by",
            "file is not a database",
            "readonly database",
            r"error code (?:401|403)\b",
        )
    ),
    re.IGNORECASE,
)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_REFUSED_CODES = ("PERMISSION_DENIED", "UNAUTHENTICATED")


def quiet_mlflow() -> None:
    """Hide messages that MLflow and its libraries print at every attempt about errors that they also raise.

    Call it before starting a thread that imports MLflow, because warning filters apply to the whole process.
    """
    logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.ERROR)
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    # Importing requests imports the SOCKS support of urllib3, which warns about a missing package that nobody needs.
    warnings.filterwarnings("ignore", message="SOCKS support in urllib3")


def is_lasting(error: BaseException) -> bool:
    """Whether the same request will keep failing until a person corrects something."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModuleNotFoundError) or _LASTING.search(str(seen)):
            return True
        response = getattr(seen, "response", None)  # `requests.HTTPError` has the attribute `response`.
        if getattr(response, "status_code", None) in _REFUSED:
            return True
        if getattr(seen, "error_code", None) in _REFUSED_CODES:  # an attribute of `MlflowException`
            return True
        seen = seen.__cause__
    return False
