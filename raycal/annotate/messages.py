"""The JSON that a page sends. It is checked here for types and sizes; what it means is checked by the project."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_QUESTIONS = 200
MAX_PICTURES = 200
MAX_EVENTS = 500

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.:-]+$")]
Row = Annotated[int, Field(ge=0, le=10**9)]


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
    """Asks for more samples of a cluster."""

    client: Id
    question: Id
    page: Annotated[int, Field(ge=0, le=10**6)]


class Release(Body):
    """Gives questions back; without questions, the page is closed and gives back all of them."""

    client: Id
    questions: Annotated[list[Id], Field(max_length=MAX_QUESTIONS)] | None = None


class Rows(Body):
    """Asks for thumbnails, or for the beginnings of texts."""

    rows: Annotated[list[Row], Field(max_length=MAX_PICTURES)]


class Rename(Body):
    """Gives a class another name."""

    label: Row
    name: Annotated[str, Field(max_length=1000)]


class Nothing(Body):
    """A message without content."""


class Answers(Body):
    """Events of a page, oldest first. The project checks each of them on its own, so that a wrong one does not hold up
    the others."""

    client: Id
    events: Annotated[list[Any], Field(max_length=MAX_EVENTS)]


def problem_sentence(location: tuple[int | str, ...], message: str) -> str:
    """A sentence that says what is wrong at a place of a message."""
    place = ".".join(str(part) for part in location if part != "body") or "The message"
    said = message.removeprefix("Input ").removesuffix(".")
    if not message.startswith("Input "):
        said = f"is wrong: {said[:1].lower()}{said[1:]}"
    return f"{place} {said}."
