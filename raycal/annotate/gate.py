"""The first code that sees a request: refuses what the server must not answer, and completes every response."""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from raycal.annotate.site import HEADERS, Site
from raycal.annotate.tokens import Person, Tokens

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024
# A body that is too large is read and dropped up to this size, because many clients read the answer only after they
# have sent everything. If the body is larger, the connection is closed.
MAX_DROPPED_BYTES = 1024 * 1024
BODY_SECONDS = 15.0

LOG_IN = "/api/session"
NEEDS_SESSION = ("/api/", "/image/", "/text/")
SAFE_METHODS = ("GET", "HEAD")
MISTAKE = "The server has made a mistake; what went wrong is in its output."

_ALWAYS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the server
    """A request that is not carried out.

    Args:
        status: The HTTP status.
        sentence: The reason, for a person.
        close: Whether the connection must be closed, because the rest of the request was not read.
    """

    def __init__(self, status: int, sentence: str, *, close: bool = False) -> None:
        self.status, self.sentence, self.close = status, sentence, close
        super().__init__(sentence)


class Gate:
    """An ASGI application that passes on only requests which may be answered.

    It checks the host, the origin, the type and the size of the body, and the session. The application behind it gets
    the whole body in one message, and the person in `scope["state"]["person"]`.

    Args:
        app: The application behind the gate.
        tokens: The people who may use the project.
        site: The addresses under which the server may be used.
    """

    def __init__(self, app: App, tokens: Tokens, site: Site) -> None:
        self._app, self._tokens, self._site = app, tokens, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        response = _Response(send)
        try:
            try:
                receive = await self._admitted(scope, receive)
            except Refusal as refusal:
                await response.refuse(refusal)
                return
            await self._app(scope, receive, response.send)
        except Exception as error:
            report(error, scope["method"])
            await response.refuse(Refusal(500, MISTAKE))

    async def _admitted(self, scope: Scope, receive: Receive) -> Receive:
        """Check a request, and return a `receive` that yields its whole body.

        Raises:
            Refusal: The request must not be answered.
        """
        headers = _headers(scope)
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may see two requests
            raise Refusal(400, "A request must not have both Content-Length and Transfer-Encoding.", close=True)
        self._check_host(scope, headers)
        if scope["method"] in SAFE_METHODS:
            self._check_session(scope, headers)
            return receive
        if scope["method"] != "POST":
            raise Refusal(405, "This server answers only GET and POST.", close=_has_large_body(headers))
        self._check_post(scope, headers)
        body = await _whole_body(headers, receive)
        return _replayed(body, receive)

    def _check_host(self, scope: Scope, headers: Mapping[str, str]) -> None:
        local = scope.get("server") or ("", None)
        if not self._site.allows_host(headers.get("host", ""), str(local[0])):
            raise Refusal(403, "This server does not answer under this host name.", close=_has_large_body(headers))

    def _check_post(self, scope: Scope, headers: Mapping[str, str]) -> None:
        close = _has_large_body(headers)
        origin, fetch_site = headers.get("origin"), headers.get("sec-fetch-site")
        if not self._site.allows_origin(headers["host"], origin, fetch_site, self._scheme(scope, headers)):
            raise Refusal(403, "This request comes from a page of another site.", close=close)
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "The content type of a POST must be application/json.", close=close)
        try:
            self._check_session(scope, headers)
        except Refusal as refusal:
            refusal.close = close
            raise

    def _check_session(self, scope: Scope, headers: Mapping[str, str]) -> None:
        path = scope["path"]
        if path == LOG_IN or not path.startswith(NEEDS_SESSION):
            return
        person = self.person_of(headers.get("cookie", ""))
        if person is None:
            raise Refusal(401, "You are not logged in; open the link that you were given.")
        scope.setdefault("state", {})["person"] = person

    def person_of(self, cookies: str) -> Person | None:
        """The person of the session in a header `Cookie`."""
        name = self._tokens.cookie
        for cookie in cookies.split(";"):
            key, _, value = cookie.strip().partition("=")
            if key == name and (person := self._tokens.person_of(value)):
                return person
        return None

    def _scheme(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """The scheme by which the browser reached the server; None if only the proxy knows."""
        if self._site.is_behind_proxy:
            return last_of(headers.get("x-forwarded-proto"))
        return str(scope["scheme"])


def last_of(value: str | None) -> str | None:
    """The last entry of a list in a header, which the nearest proxy has added; None if there is none."""
    return None if value is None else value.rpartition(",")[2].strip().lower() or None


def refusal_body(sentence: str) -> bytes:
    """The body of a response that reports an error."""
    return json.dumps({"error": sentence}, ensure_ascii=False).encode()


def report(error: BaseException, what: str) -> None:
    """Print where an unexpected error occurred.

    The message of the error is left out, because it may quote what a person has typed.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-4:]]
    print(f"annotate: {what} failed: {type(error).__name__} at {' < '.join(reversed(places))}", file=sys.stderr)


class _Response:
    """Completes the headers of a response.

    Args:
        send: Sends a message to the client.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            missing = [header for header in _ALWAYS if header[0] not in names]
            if b"cache-control" not in names:
                missing.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*headers, *missing]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self._has_started:
            return
        body = refusal_body(refusal.sentence)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refusal.close:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _headers(scope: Scope) -> dict[str, str]:
    """The headers of a request by their names in lower case. The values of a repeated header are joined."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _content_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None


def _has_large_body(headers: Mapping[str, str]) -> bool:
    """Whether the body of a request is too large, or its size is unknown."""
    length = _content_length(headers)
    return "transfer-encoding" in headers or (length is not None and length > MAX_BODY_BYTES)


async def _whole_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """Read the body of a request.

    The header `Content-Length` is only used to refuse a body early. What counts is how much arrives.

    Raises:
        Refusal: The body is too large, or does not arrive in time.
    """
    too_large = Refusal(413, f"The request is larger than {MAX_BODY_BYTES // 1024} KiB.", close=True)
    if (_content_length(headers) or 0) > MAX_DROPPED_BYTES:
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "The request has ended too early.", close=True)
                size += len(message.get("body", b""))
                if size <= MAX_BODY_BYTES:
                    body += message.get("body", b"")
                if size > MAX_DROPPED_BYTES:
                    raise too_large
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Refusal(400, f"The request has not arrived within {BODY_SECONDS:g} seconds.", close=True) from None
    if size > MAX_BODY_BYTES:
        raise too_large
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first yields the whole body, and then waits for the client to leave."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
