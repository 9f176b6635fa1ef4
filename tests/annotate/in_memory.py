"""A project that keeps everything in memory, and a client that speaks HTTP to a real server."""

import http.client
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from raycal.annotate.serve import AnnotationServer
from raycal.errors import InputError, RaycalError


class InMemoryProject:
    """A project that asks for single images, one after another, and counts the messages that it gets."""

    def __init__(
        self, images: int = 100, classes: Sequence[str] = ("robin", "wren"), commit_seconds: float = 0
    ) -> None:
        self.images, self.classes, self.commit_seconds = images, list(classes), commit_seconds
        # The person and the question of each answer, by the id of the event.
        self.answers: dict[str, tuple[str, str]] = {}
        self.alive: list[tuple[str, str, tuple[str, ...]]] = []
        self.released: list[tuple[str, tuple[str, ...] | None]] = []
        self.fails_with: Exception | None = None
        self.is_closed = False
        self.renamed: list[tuple[str, int, str]] = []
        self.message = ""
        self._lock = threading.Lock()

    @property
    def num_changes(self) -> int:
        with self._lock:
            return hash((len(self.answers), self.is_closed, self.message))

    def state(self, who: str) -> dict[str, Any]:
        if self.fails_with is not None and not isinstance(self.fails_with, OSError):
            raise self.fails_with
        with self._lock:
            return {
                "project": "birds",
                "who": who,
                "phase": "training" if self.is_closed else "open",
                "message": self.message,
                "answered": len(self.answers),
                "classes": [{"id": i, "name": name, "count": 0} for i, name in enumerate(self.classes)],
                "epoch": "e1",
            }

    def next(self, who: str, client: str, holding: Sequence[str], want: int) -> dict[str, Any]:
        with self._lock:
            done = {question for _, question in self.answers.values()} | set(holding)
            free = [number for number in range(self.images) if f"1.0.{number}" not in done]
        questions = [
            {"id": f"1.0.{number}", "kind": "sample", "purpose": "round", "size": 1, "image": number, "half_of": None}
            for number in free[:want]
        ]
        return {"questions": questions, "wait": None if questions else "everything is answered"}

    def heartbeat(self, who: str, client: str, holding: Sequence[str]) -> dict[str, Any]:
        self.alive.append((who, client, tuple(holding)))
        return {"lost": []}

    def more(self, who: str, question: str, page: int) -> dict[str, Any]:
        if question != "1.1.0":
            raise InputError(f"there is no question {question}")
        return {"images": list(range(24 * page, 24 * page + 24))}

    def guidelines(self) -> dict[str, Any]:
        classes = [
            {"name": name, "text": "", "examples": [number], "num_checked": 0}
            for number, name in enumerate(self.classes)
        ]
        return {"text": "Look at the beak first.", "classes": classes}

    def submit(self, who: str, client: str, events: Sequence[object]) -> list[dict[str, Any]]:
        if self.fails_with is not None:
            raise self.fails_with
        time.sleep(self.commit_seconds)  # This sleep stands for the time that it takes to write the answers to disk.
        return [self._receipt(who, event) for event in events]

    def _receipt(self, who: str, event: Any) -> dict[str, Any]:
        if not isinstance(event, dict) or "id" not in event:
            return {"id": None, "status": "refused", "seq": None, "text": "broken", "label": None, "question": None}
        with self._lock:
            status = "known" if event["id"] in self.answers else "stored"
            self.answers.setdefault(event["id"], (who, event.get("question", "")))
            seq = list(self.answers).index(event["id"])
        label = event.get("label")
        return {"id": event["id"], "status": status, "seq": seq, "text": "1 image", "label": label, "question": None}

    def close_round(self, who: str) -> dict[str, Any]:
        if not self.answers:
            raise InputError("nothing was labelled in this round")
        self.is_closed = True
        return self.state(who)

    def rename_class(self, who: str, label: int, name: str) -> dict[str, Any]:
        if label > 1:
            raise InputError("This class does not exist; reload the page to see the classes.")
        self.renamed.append((who, label, name))
        return self.state(who)

    def release(self, client: str, questions: Sequence[str] | None = None) -> None:
        self.released.append((client, None if questions is None else tuple(questions)))


class InMemoryPictures:
    """Stands for the pictures. The bytes of each picture name the image and the size."""

    def __init__(self, images: int = 100) -> None:
        self.images = images
        self.unavailable: set[int] = set()
        self.gate = threading.Event()  # While this event is cleared, every picture waits.
        self.gate.set()
        self.asked = threading.Event()  # Is set when a picture is asked for.

    def thumbnail(self, row: int) -> bytes:
        return self._picture(row, b"RIFF thumbnail")

    def full(self, row: int) -> bytes:
        return self._picture(row, b"\xff\xd8 full")

    def model(self, row: int) -> bytes:
        return self._picture(row, b"RIFF model")

    def _picture(self, row: int, text: bytes) -> bytes:
        self.asked.set()
        self.gate.wait(30)
        if row >= self.images:
            raise IndexError(f"there is no image {row}")
        if row in self.unavailable:
            raise RaycalError(f"/home/ada/birds/{row}.png: has changed")
        return b"%s %d" % (text, row)


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        assert list(self.json) == ["error"]
        return str(self.json["error"])


class Client:
    """Sends requests to a server at a port of this machine, each over a connection of its own."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self.port, self.cookie = port, cookie

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send a request; a header that is None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        standard = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie or None}
        sent = {name: value for name, value in {**standard, **(headers or {})}.items() if value is not None}
        chunked = body is not None and not isinstance(body, bytes)
        try:
            connection.request(method, path, body, sent, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str | None] | None = None) -> Answer:
        return self.request("GET", path, None, headers)

    def post(self, path: str, message: object = None, headers: Mapping[str, str | None] | None = None) -> Answer:
        body = message if isinstance(message, bytes) else json.dumps({} if message is None else message).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def log_in(self, token: str) -> "Client":
        answer = self.post("/api/session", {"token": token})
        assert answer.status == 200, answer.body
        return Client(self.port, answer.headers["set-cookie"].partition(";")[0])


def token_of(server: AnnotationServer) -> str:
    return server.link().partition("#t=")[2]


def answered(event: str, question: str = "1.0.0", **changes: object) -> dict[str, object]:
    """An event as the page sends it."""
    timing = {"visible_ms": 1200.5, "first_input_ms": 1100.0, "gaps_ms": []}
    return {
        **{"type": "answered", "id": event, "question": question, "answer": "label", "label": 1, "new_class": None},
        **{"marked": [], "shown": 1, "timing": timing, "suggestion_shown": False},
        **changes,
    }
