"""The HTTP interface between the page and a project: routes, errors, and the threads that do the work.

The event loop only passes messages on. A call that may wait, for a lock or for the disk, runs in one of three pools of
threads: the first stores answers, which wait for the disk together; the second reads questions and states, which is
quick; and the third decodes pictures, which is slow. So none of the three has to wait for the others.
"""

import asyncio
import json
import math
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from raycal.annotate.attempts import AttemptLimit
from raycal.annotate.gate import LOG_IN, MISTAKE, Gate, Receive, Refusal, Scope, Send, last_of, refusal_body
from raycal.annotate.interfaces import Json, Pictures, Project
from raycal.annotate.live_state import LiveState
from raycal.annotate.messages import (
    Answers,
    Heartbeat,
    LogIn,
    More,
    Next,
    Nothing,
    Release,
    Rename,
    Rows,
    problem_sentence,
)
from raycal.annotate.site import Site
from raycal.annotate.static_files import FOLDER, INDEX, StaticFile, etag_of, static_files
from raycal.annotate.tokens import OWNER, SESSION_SECONDS, Person, Tokens
from raycal.data.pictures import media_type
from raycal.errors import InputError, RaycalError

# Answers that arrive together wait for the same write, so there should be a thread for each of them.
ANSWER_THREADS = 64
QUESTION_THREADS = 8
PICTURE_THREADS = max(2, min(8, os.cpu_count() or 1))
REFRESH_SECONDS = 1.0
REMOTE_REFRESH_SECONDS = 10.0

SIZES = ("thumbnail", "full", "model")
ROW = re.compile(r"0|[1-9][0-9]{0,8}")
IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATED = "private, no-cache"
NOT_FOUND = "There is nothing at this address."

T = TypeVar("T")


class AnnotationApp:
    """The ASGI application of a project.

    Args:
        project: The questions and answers.
        pictures: The pictures of the images.
        tokens: The people who may use the project.
        site: The addresses under which the server may be used.
        static: The folder of the page.
    """

    def __init__(
        self, project: Project, pictures: Pictures, tokens: Tokens, site: Site, *, static: Path = FOLDER
    ) -> None:
        self._project, self._pictures, self._tokens, self._site = project, pictures, tokens, site
        self._static = static_files(static)
        self._limit = AttemptLimit()
        self._answering = ThreadPoolExecutor(ANSWER_THREADS, "annotate-answers")
        self._asking = ThreadPoolExecutor(QUESTION_THREADS, "annotate-questions")
        self._drawing = ThreadPoolExecutor(PICTURE_THREADS, "annotate-pictures")
        self._live = LiveState(self._state, self._num_changes)
        self._gate = Gate(self._routes(), tokens, site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._gate(scope, receive, send)

    def end_streams(self) -> None:
        """End the event streams, which otherwise stay open as long as their pages. This method must be called in the
        thread of the event loop."""
        self._live.end()

    def _routes(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=self._running)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(RequestValidationError, _invalid)
        app.add_exception_handler(Refusal, _refused)
        app.add_exception_handler(InputError, _input_error)
        app.add_exception_handler(OSError, _storage_error)
        app.add_exception_handler(RaycalError, _storage_error)
        app.add_exception_handler(Exception, _mistake)  # the gate reports the error
        pages: Mapping[str, Callable[..., Any]] = {
            "/": self.index,
            "/static/{name:path}": self.static,
            "/api/state": self.state,
            "/api/events": self.events,
            "/api/guidelines": self.guidelines,
            "/image/{row}/{size}": self.image,
            "/text/{row}": self.text,
        }
        for path, answer in pages.items():
            app.add_api_route(path, answer, methods=["GET", "HEAD"], response_model=None)
        actions: Mapping[str, Callable[..., Any]] = {
            LOG_IN: self.log_in,
            "/api/next": self.next,
            "/api/more": self.more,
            "/api/pictures": self.pictures,
            "/api/texts": self.texts,
            "/api/answers": self.answers,
            "/api/close": self.close,
            "/api/rename": self.rename,
            "/api/release": self.release,
            "/api/heartbeat": self.heartbeat,
        }
        for path, answer in actions.items():
            app.add_api_route(path, answer, methods=["POST"], response_model=None)
        return app

    @asynccontextmanager
    async def _running(self, app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._live.watch()), asyncio.create_task(self._refresh_tokens())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for pool in (self._answering, self._asking, self._drawing):
                pool.shutdown(wait=False, cancel_futures=True)

    async def _refresh_tokens(self) -> None:
        """Read at regular intervals which people other processes have invited or revoked."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS if self._tokens.is_local else REMOTE_REFRESH_SECONDS)
            with suppress(InputError, OSError):  # the old content counts until the file can be read again
                await self._in(self._asking, self._tokens.refresh)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    async def _state(self, person: Person) -> Json:
        return await self._in(self._asking, self._state_now, person)

    async def _num_changes(self) -> int:
        return await self._in(self._asking, lambda: self._project.num_changes)

    def _state_now(self, person: Person) -> Json:
        return {**self._project.state(person.who), "who": person.who, "role": person.role}

    async def index(self, request: Request) -> Response:
        """The page."""
        return _static_response(request, self._static.get(INDEX))

    async def static(self, request: Request, name: str) -> Response:
        """A file of the page."""
        return _static_response(request, self._static.get(name))

    async def log_in(self, request: Request, body: LogIn) -> Response:
        """Exchange the token of a link for a session."""
        address = self._address(request)
        if (seconds := self._limit.seconds_to_wait(address)) > 0:
            wait = math.ceil(seconds)
            return _error(
                429, f"Too many wrong links were tried; try again in {wait} seconds.", {"Retry-After": str(wait)}
            )
        login = await self._in(self._answering, self._tokens.log_in, body.token)
        if login is None:
            self._limit.count(address)
            raise Refusal(401, "This link is not valid, or no longer valid; ask for a new one.")
        response = JSONResponse({"who": login.person.who, "role": login.person.role})
        response.set_cookie(
            self._tokens.cookie,
            login.secret,
            max_age=int(SESSION_SECONDS),
            path="/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="strict",
        )
        return response

    async def state(self, request: Request) -> Response:
        """The state of the project."""
        return JSONResponse(await self._state(_person(request)))

    async def events(self, request: Request) -> Response:
        """A stream that sends the state of the project whenever it has changed."""
        cookies = request.headers.get("cookie", "")
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        stream = self._live.stream(_person(request), lambda: self._gate.person_of(cookies) is not None)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def guidelines(self, request: Request) -> Response:
        """What the owner tells about the classes, with examples."""
        return JSONResponse(await self._in(self._asking, self._project.guidelines))

    async def next(self, request: Request, body: Next) -> Response:
        """The next questions for a page."""
        who = _person(request).who
        return JSONResponse(await self._in(self._asking, self._project.next, who, body.client, body.holding, body.want))

    async def heartbeat(self, request: Request, body: Heartbeat) -> Response:
        """Note that a page is still open, so that it keeps its questions."""
        who = _person(request).who
        return JSONResponse(await self._in(self._asking, self._project.heartbeat, who, body.client, body.holding))

    async def more(self, request: Request, body: More) -> Response:
        """More samples of a cluster."""
        return JSONResponse(
            await self._in(self._asking, self._project.more, _person(request).who, body.question, body.page)
        )

    async def release(self, request: Request, body: Release) -> Response:
        """Take back questions that a page no longer shows."""
        await self._in(self._asking, self._project.release, body.client, body.questions)
        return JSONResponse({})

    async def answers(self, request: Request, body: Answers) -> Response:
        """Store answers. The receipts are in the order of the events."""
        person = _person(request)
        if not _is_text(body.events):
            raise Refusal(400, "The body contains an invalid character.")

        def submit() -> Json:
            receipts = self._project.submit(person.who, body.client, body.events)
            return {"receipts": receipts, "state": self._state_now(person)}

        return JSONResponse(await self._in(self._answering, submit))

    async def close(self, request: Request, body: Nothing) -> Response:
        """End the questions of this round and start the training."""
        person = _person(request)
        if person.role != OWNER:
            raise Refusal(403, "Only the owner of the project may start the training.")

        def close() -> Json:
            self._project.close_round(person.who)
            return self._state_now(person)

        try:
            return JSONResponse(await self._in(self._answering, close))
        except InputError as error:
            raise Refusal(409, str(error)) from error

    async def rename(self, request: Request, body: Rename) -> Response:
        """Give a class another name."""
        person = _person(request)
        if person.role != OWNER:
            raise Refusal(403, "Only the owner of the project may rename a class.")
        if not _is_text(body.name):
            raise Refusal(400, "The body contains an invalid character.")

        def rename() -> Json:
            self._project.rename_class(person.who, body.label, body.name)
            return self._state_now(person)

        try:
            return JSONResponse(await self._in(self._answering, rename))
        except InputError as error:
            raise Refusal(409, str(error)) from error

    async def image(self, request: Request, row: str, size: str) -> Response:
        """A picture of an image.

        A browser may keep it for ever only if the address has a version, such as `?v=<epoch>`. Without a version, the
        browser has to ask whether the picture is still the same, because another project may be served at this address
        tomorrow.
        """
        if not ROW.fullmatch(row) or size not in SIZES:
            raise Refusal(404, NOT_FOUND)
        try:
            content = await self._picture(int(row), size)
        except RaycalError as error:  # only the owner may see the file name in the error
            reason = f" {error}" if _person(request).role == OWNER else ""
            raise Refusal(503, f"This image cannot be shown now.{reason}") from error
        kept = IMMUTABLE if request.query_params.get("v") else REVALIDATED
        return _cached(request, content, media_type(content), etag_of(content), kept)

    async def pictures(self, request: Request, body: Rows) -> Response:
        """Thumbnails in one response: the length of a JSON header, the header, and one picture after another.

        A picture that cannot be shown now is left out.
        """
        rows = list(dict.fromkeys(body.rows))
        contents = await asyncio.gather(*map(self._thumbnail, rows))
        shown = [(row, content) for row, content in zip(rows, contents, strict=True) if content is not None]
        header = json.dumps({"images": [[row, len(content)] for row, content in shown]}).encode()
        bundle = b"".join([len(header).to_bytes(4, "big"), header, *(content for _, content in shown)])
        return Response(bundle, media_type="application/octet-stream")

    async def _thumbnail(self, row: int) -> bytes | None:
        try:
            return await self._picture(row, "thumbnail")
        except RaycalError:
            return None

    async def _picture(self, row: int, size: str) -> bytes:
        pictures = self._pictures
        make = {"thumbnail": pictures.thumbnail, "full": pictures.full, "model": pictures.model}[size]
        try:
            return await self._in(self._drawing, make, row)
        except IndexError:
            raise Refusal(404, "There is no such image.") from None

    async def text(self, request: Request, row: str) -> Response:
        """A whole text as JSON. A browser keeps it as long as a picture."""
        if not ROW.fullmatch(row):
            raise Refusal(404, NOT_FOUND)
        try:
            text = await self._in(self._drawing, self._project.text, int(row))
        except IndexError:
            raise Refusal(404, "There is no such text.") from None
        content = json.dumps(text).encode()
        kept = IMMUTABLE if request.query_params.get("v") else REVALIDATED
        return _cached(request, content, "application/json", etag_of(content), kept)

    async def texts(self, request: Request, body: Rows) -> Response:
        """The beginnings of texts in one response."""
        return JSONResponse({"texts": await self._in(self._drawing, self._project.texts, body.rows)})

    def _address(self, request: Request) -> str:
        """The address of the client, as far as it can be known."""
        forwarded = last_of(request.headers.get("x-forwarded-for")) if self._site.is_behind_proxy else None
        return forwarded or (request.client.host if request.client else "")

    def _is_secure(self, request: Request) -> bool:
        """Whether the browser uses HTTPS."""
        if self._site.is_behind_proxy:
            return last_of(request.headers.get("x-forwarded-proto")) == "https"
        return self._site.has_tls


def _person(request: Request) -> Person:
    person: Person = request.state.person  # the gate has set the person
    return person


def _is_text(message: object) -> bool:
    """Whether all strings of a message can be encoded. JSON can hold half of a surrogate pair, which has no
    encoding."""
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _static_response(request: Request, file: StaticFile | None) -> Response:
    if file is None:
        raise Refusal(404, NOT_FOUND)
    accepted = {one.split(";")[0].strip() for one in request.headers.get("accept-encoding", "").split(",")}
    if "gzip" not in accepted:
        return _cached(request, file.content, file.content_type, file.etag, "no-cache")
    response = _cached(request, file.zipped, file.content_type, file.etag, "no-cache")
    response.headers["Vary"] = "Accept-Encoding"
    if response.status_code == 200:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _cached(request: Request, content: bytes, content_type: str, etag: str, cache_control: str) -> Response:
    """A response with the content, or a response that the client already has the content."""
    headers = {"ETag": etag, "Cache-Control": cache_control}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=content_type)


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(refusal_body(sentence), status, headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _error(error.status, error.sentence)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        400: "The body is not valid JSON.",
        404: NOT_FOUND,
        405: f"This address does not answer {request.method}.",
    }
    return _error(error.status_code, sentences.get(error.status_code, "The request was refused."), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _error(400, "The body is not valid JSON.")
    return _error(400, problem_sentence(first["loc"], first["msg"]))


async def _input_error(request: Request, error: Exception) -> Response:
    return _error(400, str(error))


async def _mistake(request: Request, error: Exception) -> Response:
    return _error(500, MISTAKE)


async def _storage_error(request: Request, error: Exception) -> Response:
    if isinstance(error, RaycalError):
        return _error(503, str(error))
    assert isinstance(error, OSError)
    reason = f" ({error.strerror})" if error.strerror else ""
    return _error(503, f"The server cannot use its storage{reason}; nothing was stored, so try again.")
