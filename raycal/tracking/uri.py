"""Tracking URIs: chooses the URI of a sweep, refuses URIs that can never work, and shows URIs without passwords."""

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit

from raycal.errors import InputError, one_line, shortened
from raycal.storage.sweep_dir import SweepDir

DATABASES = ("mssql", "mysql", "postgresql", "sqlite")
_SCHEMES = ("databricks", "http", "https", *DATABASES)
_GUESSES = {"postgres": "postgresql", "mariadb": "mysql", "sqlite3": "sqlite", "htpp": "http", "htp": "http"}
_EXAMPLE = "sqlite:////path/to/mlflow.db or http://host:5000"
_FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):\d+(/.*)?")
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key|credential|odbc_connect", re.IGNORECASE)
_MISSPELT = re.compile(r"([\w+-]+(?=:/)|(?:https?|file|sqlite)(?=:))?(:?/*)(.*)", re.DOTALL)
HIDDEN = "***"


def tracking_uri(configured: str | None, sweep_dir: SweepDir) -> str:
    """The tracking URI: from the sweep file, else `MLFLOW_TRACKING_URI`, else a sqlite file in the storage folder.

    Raises:
        InputError: The URI can never work, or there is no URI and the storage is not a local folder.
    """
    uri = (configured or os.environ.get("MLFLOW_TRACKING_URI") or "").strip()
    if uri:
        return _checked(uri)
    if not sweep_dir.folder.is_local:
        raise InputError("tracking.uri: name an MLflow server, or set MLFLOW_TRACKING_URI: --storage is not local")
    return sqlite_uri(Path(sweep_dir.folder.path).parent / "mlflow.db")


def is_server(uri: str) -> bool:
    """Whether the URI is the address of an MLflow server."""
    return _scheme(uri) in ("http", "https")


def is_database(uri: str) -> bool:
    """Whether the URI belongs to a database, which MLflow opens with SQLAlchemy."""
    return _scheme(uri).partition("+")[0] in DATABASES


def sqlite_uri(path: Path) -> str:
    """The URI of a sqlite file; special characters of the path are escaped."""
    text = re.sub(r"[%?#]", lambda sign: f"%{ord(sign[0]):02X}", str(path))
    return _with_driver(f"sqlite:///{text}")


def sqlite_path(uri: str) -> Path | None:
    """The file of a sqlite URI; None for any other URI."""
    scheme, _, rest = uri.partition("://")
    if scheme.lower().partition("+")[0] != "sqlite":
        return None
    return Path(unquote(rest.partition("?")[0].removeprefix("/")))


def without_secrets(uri: str) -> str:
    """The URI without user and password, and with the values of secret options hidden. The URI may be misspelled."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, separator, rest = _MISSPELT.fullmatch(uri).groups("")  # type: ignore[union-attr]
    rest, mark, query = rest.partition("?")
    options = "&".join(_hidden_option(option) for option in query.split("&"))
    return f"{scheme}{separator}{_without_user(scheme.lower(), rest)}{mark}{options}"


def _without_user(scheme: str, rest: str) -> str:
    """The part after the scheme, without `user:password@` or `token@`; a database user without password stays."""
    host, slash, path = rest.partition("/")
    user, colon, password = host.partition(":")
    is_sql = scheme.partition("+")[0] in ("mssql", "mysql", "postgresql")
    if is_sql and not (colon and "@" in password + path and "@" not in user):
        return rest
    # A slash may be part of a password; then the text before the last `@` is not `host:port/path`.
    is_cut_off = "@" not in host and colon and "@" in path and not re.fullmatch(r"\d*", password)
    if is_sql or is_cut_off:
        return rest.rpartition("@")[2]
    return host.rpartition("@")[2] + slash + path


def with_placeholders(uri: str) -> str:
    """The URI for a command to copy and paste, with capitalized placeholders where secrets are hidden."""
    hidden_option = re.compile(rf"(\w+)={re.escape(HIDDEN)}")
    shown = hidden_option.sub(lambda option: f"{option[1]}={option[1].upper()}", without_secrets(uri))
    rest, shown_rest = (text.partition("://")[2].partition("?")[0] for text in (uri, shown))
    if rest == shown_rest:
        return shown
    credentials = rest.removesuffix(shown_rest).removesuffix("@")
    return shown.replace("://", "://USER:PASSWORD@" if ":" in credentials else "://TOKEN@", 1)


def has_secrets(uri: str) -> bool:
    """Whether `without_secrets` hides a part of the URI."""
    return without_secrets(uri) != uri


def error_line(error: BaseException | str, uri: str) -> str:
    """The message of a tracking error, in one line without passwords."""
    text = str(error).replace(uri, without_secrets(uri))
    for secret in _secrets(uri):
        text = text.replace(secret, HIDDEN)
    text = re.sub(r"(\b[\w+]+://)[^\s/?#'\"]*@", r"\1", text)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return shortened(one_line(first), 300)


def _secrets(uri: str) -> list[str]:
    """The parts of a URI that no message may show, longest first."""
    rest, _, query = uri.partition("://")[2].partition("?")
    secrets: set[str] = set()
    if has_secrets(uri):
        shown = without_secrets(uri).partition("://")[2].partition("?")[0]
        credentials = rest.removesuffix(shown).removesuffix("@")
        user, colon, password = credentials.partition(":")
        # MLflow and SQLAlchemy split a password at an `@` and show its second half as a host.
        secrets |= {credentials, password, *password.split("@")} if colon else {user}
    for option in query.split("&"):
        key, _, value = option.partition("=")
        if _SECRET_KEY.search(key):
            secrets.add(value)
    decoded = secrets | {unquote(secret) for secret in secrets}
    return sorted((secret for secret in decoded if len(secret) > 2), key=len, reverse=True)


def _hidden_option(option: str) -> str:
    key, equals, _ = option.partition("=")
    return f"{key}={HIDDEN}" if equals and _SECRET_KEY.search(key) else option


def _scheme(uri: str) -> str:
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else ""


def _checked(uri: str) -> str:
    """The URI in the form that MLflow expects.

    Raises:
        InputError: MLflow would refuse the URI, but only while the sweep runs.
    """
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        _check_without_scheme(uri)
        return uri
    uri = f"{scheme}://{rest}"
    if scheme == "file":
        _check_file_store(uri)
    elif scheme.partition("+")[0] == "sqlite":
        _check_sqlite(uri)
        return _with_driver(uri)
    elif is_server(uri):
        _check_server(uri)
    elif scheme.partition("+")[0] not in _SCHEMES and scheme not in _plugins():
        shown = without_secrets(uri)
        if scheme in ("databricks-uc", "uc"):
            raise InputError(
                f"tracking.uri: {shown}: Unity Catalog holds models but no runs; give databricks://profile"
            )
        if scheme in _GUESSES:
            guess = shown.replace(scheme, _GUESSES[scheme], 1)
            raise InputError(f"tracking.uri: {shown}: MLflow knows no {scheme}://; did you mean {guess}?")
        raise InputError(
            f"tracking.uri: {shown}: MLflow knows no {scheme}://; give one of {', '.join(sorted(_SCHEMES))}"
        )
    return uri


def _check_without_scheme(uri: str) -> None:
    shown = without_secrets(uri)
    if uri == "databricks" or uri.partition(":")[0] in _plugins():
        return
    if uri in ("databricks-uc", "uc"):
        raise InputError(f"tracking.uri: {shown}: Unity Catalog holds models but no runs; give databricks")
    scheme, colon, rest = uri.partition(":")
    if colon and scheme.lower() in ("http", "https"):
        raise InputError(f"tracking.uri: {shown}: did you mean {scheme}://{_host(rest)}?")
    if colon and scheme.lower().partition("+")[0] == "sqlite":
        raise InputError(f"tracking.uri: {shown}: did you mean sqlite:///{shown.partition(':')[2]}?")
    if colon and scheme.lower() == "file":
        _check_file_store(uri)
        return
    if not uri.startswith((".", "/", "~")):
        host = _host(uri)
        if _HOST_AND_PORT.fullmatch(host) or host.partition("/")[0] == "localhost":
            raise InputError(f"tracking.uri: {host}: an address needs a scheme; did you mean http://{host}?")
    if uri.endswith((".db", ".sqlite", ".sqlite3")):
        raise InputError(f"tracking.uri: {shown}: a database needs a scheme; did you mean sqlite:///{shown}?")
    _check_file_store(uri)


def _host(text: str) -> str:
    """The address without leading slashes and without user and password."""
    return without_secrets(f"http://{text.lstrip('/')}").removeprefix("http://")


def _check_file_store(uri: str) -> None:
    """Refuse MLflow's file store, unless the user allowed it with `MLFLOW_ALLOW_FILE_STORE`."""
    shown = without_secrets(uri)
    if os.environ.get(_FILE_STORE, "").lower() not in ("true", "1"):
        raise InputError(
            f"tracking.uri: {shown}: MLflow 3.17 and later do not track into a folder of files any more; "
            f"give {_EXAMPLE}, or set {_FILE_STORE}=true"
        )


def _check_sqlite(uri: str) -> None:
    rest, _, query = uri.partition("://")[2].partition("?")
    path, shown = sqlite_path(uri), without_secrets(uri)
    if rest and not rest.startswith("/"):
        raise InputError(f"tracking.uri: {shown}: should be sqlite:///{shown.partition('://')[2]}, with three slashes")
    if not rest.removeprefix("/") or ":memory:" in str(path) or "mode=memory" in query:
        raise InputError(
            f"tracking.uri: {shown}: a database in memory is lost when the sweep ends; give sqlite:////path/to/mlflow.db"
        )
    if rest.endswith("/"):
        raise InputError(f"tracking.uri: {shown}: names a folder; give a file, as in {shown}mlflow.db")


def _check_server(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise InputError(f"tracking.uri: {without_secrets(uri)}: should be http://host:port")


def _with_driver(uri: str) -> str:
    """Add the driver to a sqlite URI with a quoted path; MLflow would otherwise create a folder by the quoted name."""
    return uri.replace("sqlite://", "sqlite+pysqlite://", 1) if "%" in uri.partition("?")[0] else uri


def _plugins() -> set[str]:
    return {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}
