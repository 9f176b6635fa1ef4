"""The JSON that a page sends. It is checked here for types and sizes; what it means is checked by the project."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from raycal.annotate.interfaces import Json

MAX_QUESTIONS = 200
MAX_PICTURES = 200
MAX_EVENTS = 500

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.:-]+$")]
Row = Annotated[int, Field(ge=0, le=10**9)]
Milliseconds = Annotated[float, Field(ge=0, le=1e10)]


class Body(BaseModel):
    """A message of a page. A key that is not known here is ignored, because the page may be newer or older."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class LogIn(Body):
    """The token of a link."""

    token: Annotated[str, Field(max_length=500)]


class Next(Body):
    """Asks for questions; the page says which ones it still has."""

    client: Id
    holding: Annotated[list[Id], Field(max_length=MAX_QUESTIONS)] = []
    want: Annotated[int, Field(ge=0, le=MAX_QUESTIONS)] = 1


class Heartbeat(Body):
    """Says that the page is still open, and which questions it has."""

    client: Id
    holding: Annotated[list[Id], Field(max_length=MAX_QUESTIONS)] = []


class More(Body):
    """Asks for more images of a cluster."""

    client: Id
    question: Id
    page: Annotated[int, Field(ge=0, le=10**6)]


class Release(Body):
    """Gives questions back."""

    client: Id
    questions: Annotated[list[Id], Field(max_length=MAX_QUESTIONS)]


class Rows(Body):
    """Asks for thumbnails."""

    rows: Annotated[list[Row], Field(max_length=MAX_PICTURES)]


class Nothing(Body):
    """A message without content."""


class Timing(Body):
    """How long a person has looked, as the browser has measured it."""

    visible_ms: Milliseconds
    first_input_ms: Milliseconds | None = None
    gaps_ms: list[Milliseconds] = []


class Answered(Body):
    """An answer to a question."""

    type: Literal["answered"]
    id: Id
    question: Id
    answer: Literal["label", "refused", "unsure", "split"]
    label: Annotated[int, Field(ge=0, le=10**9)] | None = None
    new_class: Annotated[str, Field(max_length=1000)] | None = None
    marked: list[Row] = []
    shown: Annotated[int, Field(ge=0, le=10**9)]
    timing: Timing
    suggestion_shown: bool = False


class Undone(Body):
    """Takes back the last answer of the person."""

    type: Literal["undone"]
    id: Id


class Answers(Body):
    """Events of a page, oldest first. Each event is checked on its own, so that one cannot hold up the others."""

    client: Id
    events: Annotated[list[dict[str, Any]], Field(max_length=MAX_EVENTS)]


_EVENT: TypeAdapter[Answered | Undone] = TypeAdapter(Annotated[Answered | Undone, Field(discriminator="type")])
_ID: TypeAdapter[str] = TypeAdapter(Id)


def checked_events(events: list[dict[str, Any]]) -> tuple[list[Json], dict[str, str]]:
    """The valid events, and for each of the others its id and what is wrong with it.

    Raises:
        ValidationError: An event has no usable id, so nothing can be said about it.
    """
    valid, wrong = [], {}
    for event in events:
        event_id = _ID.validate_python(event.get("id"), strict=True)
        try:
            valid.append(_EVENT.validate_python(event).model_dump())
        except ValidationError as error:
            wrong[event_id] = sentence_of(error)
    return valid, wrong


def sentence_of(error: ValidationError) -> str:
    """The first problem of an invalid message as a sentence. It never quotes what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return problem_sentence(first["loc"], first["msg"])


def problem_sentence(location: tuple[int | str, ...], message: str) -> str:
    """A sentence about a problem at a place of a message."""
    place = ".".join(str(part) for part in location if part not in ("body", "answered", "undone")) or "The message"
    said = message.removeprefix("Input ").removesuffix(".")
    if not message.startswith("Input "):
        said = f"is wrong: {said[:1].lower()}{said[1:]}"
    return f"{place} {said}."
