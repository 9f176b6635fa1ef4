"""Runs the annotation server in this process, beside the thread that runs the rounds, until a signal ends both."""

import asyncio
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from raycal.annotate.interfaces import Pictures, Project
from raycal.annotate.site import Site, is_loopback
from raycal.annotate.tokens import Tokens
from raycal.errors import InputError, one_line
from raycal.signals import catch_signals, exit_code

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8700
MORE_PORTS = 10
ANY_ADDRESS = ("0.0.0.0", "::")
START_SECONDS = 20.0
# The server and the rounds have this many seconds to end. A stopped Ray job gets SIGKILL three seconds after SIGTERM.
STOP_SECONDS = 1.7
OPEN_REQUESTS_SECONDS = 1
SIGNAL_SECONDS = 0.5  # A signal is noticed after this many seconds at most.
# This is below the number of files that a process may usually open (1024). Further connections get the status 503.
MAX_CONNECTIONS = 800
BACKLOG = 512
KEEP_ALIVE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where the server can be reached.

    Attributes:
        host: The host name or IP address of the interface on which the server listens.
        port: The port; None for 8700 or, if it is in use, one of the next ten; 0 for any free port.
        tls_cert: The file of the TLS certificate, with the chain of its issuers.
        tls_key: The file of the private key of the certificate.
        behind_proxy: Whether a reverse proxy passes the requests on, and encrypts them.
        names: Further host names under which people reach the server, such as that of the proxy.
    """

    host: str = DEFAULT_HOST
    port: int | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    behind_proxy: bool = False
    names: tuple[str, ...] = ()

    def check(self) -> None:
        """Check what can be checked before anything starts.

        Raises:
            InputError: The options contradict each other, or name something that cannot be used.
        """
        problems = []
        if self.port is not None and not 0 <= self.port <= 65535:
            problems.append(f"--port {self.port}: should be between 0 and 65535")
        if (self.tls_cert is None) != (self.tls_key is None):
            problems.append("--tls-cert and --tls-key must be given together")
        elif self.tls_cert is not None and self.tls_key is not None:
            problems += _tls_problems(self.tls_cert, self.tls_key)
        elif not is_loopback(self.host) and not self.behind_proxy:
            problems.append(
                f"--host {self.host}: other machines could read what people send; give --tls-cert and --tls-key, "
                "or --behind-proxy if a reverse proxy encrypts the connections"
            )
        if problems:
            raise InputError(*problems)

    @property
    def site(self) -> Site:
        """The addresses under which the server may be used."""
        own = [socket.gethostname()] if self.host in ANY_ADDRESS else [self.host]
        return Site(
            names=frozenset(name.strip("[]").lower() for name in (*own, *self.names)),
            has_tls=self.tls_cert is not None,
            is_behind_proxy=self.behind_proxy,
        )

    def link(self, port: int, token: str) -> str:
        """The address that a person opens. The token is in its fragment, which browsers never send."""
        if self.behind_proxy and self.names:
            return f"https://{self.names[0]}/#t={token}"
        host = socket.gethostname() if self.host in ANY_ADDRESS else self.host.strip("[]")
        scheme = "https" if self.tls_cert is not None else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/#t={token}"


def listen(options: ServerOptions) -> socket.socket:
    """Open the port of the server.

    Raises:
        InputError: The host is no address of this machine, or the port cannot be used.
    """
    first = DEFAULT_PORT if options.port is None else options.port
    ports = range(first, first + 1 + MORE_PORTS) if options.port is None else (first,)
    family, address = _resolved(options.host)
    for port in ports:
        try:
            return _listen_at(family, address, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            if error.errno == errno.EACCES:
                raise InputError(f"--port {port}: this user may not use the port; take one above 1023") from error
            raise InputError(f"--host {options.host}: cannot be used: {error.strerror}") from error
    if options.port is None:
        raise InputError(f"the ports {ports[0]} to {ports[-1]} are all in use; choose another one with --port")
    raise InputError(f"--port {first}: is in use; choose another one, or leave the option out")


class AnnotationServer:
    """Answers requests in a thread of its own, from `start` to `stop`, or in a `with` block.

    Args:
        project: The questions and answers.
        pictures: The pictures of the images.
        tokens: The people who may use the project.
        options: Where the server can be reached.
        static: The folder of the page; None for the one of the package.
        listener: The open port; see `listen`. None means that the port of the options is opened.

    Raises:
        InputError: The options cannot be used, or the port is in use.
    """

    def __init__(
        self,
        project: Project,
        pictures: Pictures,
        tokens: Tokens,
        options: ServerOptions | None = None,
        *,
        static: Path | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        from raycal.annotate.app import AnnotationApp
        from raycal.annotate.static_files import FOLDER
        from raycal.annotate.uvicorn_server import Server, server_config

        self._options = options or ServerOptions()
        self._options.check()
        self._tokens = tokens
        app = AnnotationApp(project, pictures, tokens, self._options.site, static=static or FOLDER)
        self._socket = listener or listen(self._options)
        self.port: int = self._socket.getsockname()[1]
        self._ended = threading.Event()
        self._server = Server(
            server_config(
                app,
                tls_cert=self._options.tls_cert,
                tls_key=self._options.tls_key,
                max_connections=MAX_CONNECTIONS,
                backlog=BACKLOG,
                keep_alive_seconds=KEEP_ALIVE_SECONDS,
                open_requests_seconds=OPEN_REQUESTS_SECONDS,
            ),
            app,
        )
        # A thread that still waits for the disk must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="annotate-server", daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start to answer requests.

        Raises:
            RuntimeError: The server could not start.
        """
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if self._ended.wait(0.01) or time.monotonic() > until:
                raise RuntimeError("the annotation server could not start") from self._error

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End all requests and the server, and wait at most this many seconds until they have ended.

        Returns:
            Whether the server has ended in this time.
        """
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._socket.close()
        return not self._thread.is_alive()

    def link(self) -> str:
        """A new link for the owner; the previous one becomes invalid."""
        return self._options.link(self.port, self._tokens.owner_token())

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call a function, in another thread, when the server ends for whatever reason."""

        def wait() -> None:
            self._ended.wait()
            call()

        threading.Thread(target=wait, name="annotate-server-end", daemon=True).start()

    def raise_error(self) -> None:
        """Raise the error that has ended the server, if there was one."""
        if self._error is not None:
            raise RuntimeError(f"the annotation server has failed: {one_line(self._error)}") from self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()


def serve(
    project: Project,
    pictures: Pictures,
    tokens: Tokens,
    options: ServerOptions | None = None,
    *,
    background: Callable[[threading.Event], None] | None = None,
    static: Path | None = None,
    listener: socket.socket | None = None,
) -> int:
    """Serve a project until Ctrl-C or another signal. It must be called in the main thread.

    Args:
        project: The questions and answers.
        pictures: The pictures of the images.
        tokens: The people who may use the project.
        options: Where the server can be reached.
        background: Runs the rounds, in a thread of its own. It gets an event that is set when it has to end, and should
            then return within a second. If it returns earlier, the server goes on.
        static: The folder of the page; None for the one of the package.
        listener: The open port; see `listen`. None means that the port of the options is opened.

    Returns:
        The exit code of the command.

    Raises:
        InputError: The options cannot be used, or the port is in use. Nothing has started.
        Exception: `background` has raised this exception, and the server has ended.
    """
    server = AnnotationServer(project, pictures, tokens, options, static=static, listener=listener)
    ended, must_stop = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def run_background() -> None:
        assert background is not None
        try:
            background(must_stop)
        except BaseException as error:
            errors.append(error)
            ended.set()

    thread = threading.Thread(target=run_background, name="annotate-rounds", daemon=True) if background else None
    is_interrupted = False
    try:
        catch_signals()
        server.start()
        server.when_ended(ended.set)
        print(f"label here: {server.link()}", flush=True)
        if thread is not None:
            thread.start()
        # A signal that arrives at the moment when Python begins to wait does not end the wait, so waits are short.
        while not ended.wait(SIGNAL_SECONDS):
            pass
    except KeyboardInterrupt:
        is_interrupted = True
    finally:
        until = time.monotonic() + STOP_SECONDS
        must_stop.set()
        server.stop()
        if thread is not None and thread.is_alive():
            thread.join(max(0.0, until - time.monotonic()))
    if errors:
        raise errors[0]
    server.raise_error()
    return exit_code() if is_interrupted else 0


def _resolved(host: str) -> tuple[socket.AddressFamily, str]:
    """The first address of a host name; IPv4 goes first, because links name 127.0.0.1."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a valid host name"
        raise InputError(f"--host {host}: cannot be used: {reason}") from error
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, str(address[0])


def _listen_at(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # asyncio sends small packets at once only if the protocol is named. Otherwise, every response takes 40 ms longer.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Without this, the port of a server that has just ended could not be used again for a minute.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and address != "::":
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _tls_problems(cert: str, key: str) -> list[str]:
    """Why the certificate and the key cannot be used, one line per problem."""
    problems = []
    for option, file in (("--tls-cert", cert), ("--tls-key", key)):
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            problems.append(f"{option} {file}: {error.strerror}")
    if not problems:
        try:
            # The password is empty, because OpenSSL would ask for it on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
        except (ssl.SSLError, ValueError, OSError):
            problems.append(
                f"--tls-cert {cert}: is no PEM certificate for the private key {key}, or the key has a password"
            )
    return problems
