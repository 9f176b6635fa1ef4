"""Which errors of a tracking server no later attempt can mend, and which of MLflow's own messages are not shown."""

import logging
import re
import warnings
from http import HTTPStatus

# What databases answer when it is the user, the password, the name or the schema that is wrong.
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
    """Hide what MLflow and the libraries below it print of an error that they also raise, and at every attempt again.

    It has to be called before a thread that imports MLflow starts: the filters of warnings belong to the whole process.
    """
    logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.ERROR)
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    # Whoever imports requests imports the part of urllib3 for SOCKS proxies, which may lack a package nobody needs.
    warnings.filterwarnings("ignore", message="SOCKS support in urllib3")


def is_lasting(error: BaseException) -> bool:
    """Whether the same request fails for ever until a person corrects something."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModuleNotFoundError) or _LASTING.search(str(seen)):
            return True
        response = getattr(seen, "response", None)  # of requests.HTTPError
        if getattr(response, "status_code", None) in _REFUSED:
            return True
        if getattr(seen, "error_code", None) in _REFUSED_CODES:  # of mlflow.MlflowException
            return True
        seen = seen.__cause__
    return False
