"""Sets up uvicorn: no log lines, no banner, and an end that does not wait for open event streams."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from raycal.annotate.app import AnnotationApp
from raycal.annotate.gate import refusal_body
from raycal.annotate.site import HEADERS

MAX_HEADER_BYTES = 32 * 1024
# A connection on which a request has begun, but whose headers do not arrive in this time, is closed.
HEADER_SECONDS = 15.0
# The date in the headers of answers is this old at most.
DATE_SECONDS = 1.0
# While the server ends, it looks this often whether all requests are answered.
POLL_SECONDS = 0.005


class Protocol(H11Protocol):
    """The HTTP protocol. A request that uvicorn itself refuses gets an answer like every other error: in JSON, with all
    headers.
    """

    def __init__(self, config: uvicorn.Config, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._max_connections, self.limit_concurrency = config.limit_concurrency, None
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if self._max_connections is not None and len(self.connections) > self._max_connections:
            self._refuse(503, "The server has too many connections; try again in a moment.")
        else:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        waits_for_headers = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not waits_for_headers:
            self._cancel_header_timer()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._cancel_header_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not valid HTTP, and close the connection."""
        self._refuse(400, "This is not a valid HTTP request.")

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, status: int, sentence: str) -> None:
        body = refusal_body(sentence)
        headers = [
            *((name.encode(), value.encode()) for name, value in HEADERS.items()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase.encode())
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """A server that runs outside the main thread, and that ends as soon as it is asked to.

    uvicorn's own server looks every 0.1 seconds whether it has to end, and then always waits for another 0.1 seconds.
    This server is woken instead, and waits only while requests are open. It first ends the event streams of its
    application, which would otherwise stay open.

    Args:
        config: The settings of uvicorn.
        app: The application.
    """

    def __init__(self, config: uvicorn.Config, app: AnnotationApp) -> None:
        super().__init__(config)
        self._app = app
        self._wake: Callable[[], object] | None = None

    def end(self) -> None:
        """Ask the server to end. Any thread may call this, also before the server has started or after it has ended."""
        self.should_exit = True
        if self._wake is not None:
            with suppress(RuntimeError):  # The event loop has been closed, because the server has ended.
                self._wake()

    async def main_loop(self) -> None:
        """Keep the date in the headers of answers up to date until the server has to end."""
        must_end = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, must_end.set)
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(must_end.wait(), DATE_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, refuse new connections, and wait until the open requests are answered."""
        self._app.end_streams()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


def server_config(
    app: AnnotationApp,
    *,
    tls_cert: str | None,
    tls_key: str | None,
    max_connections: int,
    backlog: int,
    keep_alive_seconds: int,
    open_requests_seconds: int,
) -> uvicorn.Config:
    """The settings of uvicorn.

    Nothing is logged, because lines of uvicorn contain what clients send. Headers of proxies are not used by uvicorn;
    the application decides which of them it trusts.
    """
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        limit_concurrency=max_connections,
        backlog=backlog,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=open_requests_seconds,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
