"""Serves the live page of a sweep to browsers on this machine."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from raycal.errors import InputError
from raycal.report.live import SCRIPT, LiveReport, script

ADDRESS = "127.0.0.1"
# Another site could let its host name point to this address (DNS rebinding). Requests of that site's page would name
# the site's host, so requests that name another host are refused.
HOSTS = ("127.0.0.1", "localhost")
IDLE_SECONDS = 30.0
TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "tex": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
}
TEXT = "text/plain; charset=utf-8"
# Figures have style attributes, which need 'unsafe-inline'. The browser may load scripts from this server alone.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(live: LiveReport, port: int, *, announce: Callable[[str], None]) -> None:
    """Serve a live page until Ctrl-C.

    Args:
        live: The page.
        port: The port on the loopback interface; 0 for any that is free.
        announce: Called with the address as soon as the server answers.

    Raises:
        InputError: The port cannot be used.
    """
    with new_server(live, port) as server:
        announce(f"http://{ADDRESS}:{server.server_port}/")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
        live.close()


def new_server(live: LiveReport, port: int) -> ThreadingHTTPServer:
    """The server of a live page, which answers once `serve_forever` is called.

    Raises:
        InputError: The port cannot be used.
    """
    try:
        server = ThreadingHTTPServer((ADDRESS, port), partial(_Handler, live, script()))
    except OSError as error:
        raise InputError(
            f"--port {port}: {error.strerror or error}; give another port, or 0 for any that is free"
        ) from error
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. Only the files of the report can be requested; the path of a request is never looked up on
    disk."""

    timeout = IDLE_SECONDS
    server_version, sys_version = "raycal", ""

    def __init__(self, live: LiveReport, script: bytes, *arguments: object) -> None:
        self._live, self._script = live, script
        super().__init__(*arguments)  # type: ignore[arg-type]  # this answers the request

    def do_GET(self) -> None:
        """Answer with a header and a body."""
        with suppress(ConnectionError, TimeoutError):  # The browser closed the connection.
            self._answer()

    def do_HEAD(self) -> None:
        """Answer with the header only."""
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing about requests."""

    def _answer(self) -> None:
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            host = None
        if host not in HOSTS:
            self._send(HTTPStatus.FORBIDDEN, TEXT, f"This server answers requests to {ADDRESS} only.\n".encode())
            return
        name = unquote(self.path.partition("?")[0]).removeprefix("/")
        content = self._content(name)
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, TEXT, b"The report has no such file.\n")
            return
        self._send(HTTPStatus.OK, TEXT if name == "version" else TYPES[name.rpartition(".")[2] or "html"], content)

    def _content(self, name: str) -> bytes | None:
        match name:
            case "":
                return self._live.page()
            case "version":
                return self._live.look().version.encode()
            case _ if name == SCRIPT:
                return self._script
            case _:
                return self._live.file(name)

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for key, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
