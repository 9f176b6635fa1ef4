"""A person who labels over HTTP, and who is told when the server cannot store an answer."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from in_memory import Client, answered


def wait_for(condition: Callable[[], Any], about: object, seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, about() if callable(about) else about
        time.sleep(0.05)
    return found


class Person:
    """Answers questions over HTTP, and keeps the ids of the answers that were acknowledged.

    Args:
        client: A client that is logged in.
        names: The classes, which the person gives by turns.
    """

    def __init__(self, client: Client, names: Sequence[str] = ("wren", "robin")) -> None:
        self.client, self.acknowledged = client, list[str]()
        self._names = names
        self._unsent: dict[str, Any] | None = None
        self._number, self._prefix = 0, uuid4().hex[:16]

    def state(self) -> Any:
        return self.client.get("/api/state").json

    def answer(self) -> Any:
        """Answer the next question; the response of the server. None if there is no question."""
        if self._unsent is None:
            given = self.client.post("/api/next", {"client": "a1", "holding": [], "want": 1}).json
            if not given["questions"]:
                return None
            self._number += 1
            name = self._names[self._number % len(self._names)]
            event_id = f"{self._prefix}{self._number:016x}"
            self._unsent = answered(event_id, given["questions"][0]["id"], label=None, new_class=name)
        response = self.client.post("/api/answers", {"client": "a1", "events": [self._unsent]})
        if response.status == 200:
            self.acknowledged.append(str(self._unsent["id"]))
            self._unsent = None
        return response

    def answer_until(self, condition: Callable[[Any], bool]) -> None:
        def step() -> bool:
            response = self.answer()
            assert response is None or response.status == 200, response
            return condition(self.state())

        wait_for(step, self.state, 300)
