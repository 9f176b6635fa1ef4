"""Which errors of a tracking server no later attempt can mend."""

import re
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
