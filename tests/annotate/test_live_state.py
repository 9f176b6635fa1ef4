import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from in_memory import Client, InMemoryProject, answered

from raycal.annotate.serve import AnnotationServer
from raycal.annotate.tokens import Tokens


class Events:
    """The event stream of a page."""

    def __init__(self, client: Client) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        self._connection.request("GET", "/api/events", headers={"Cookie": client.cookie})
        self.response = self._connection.getresponse()

    def next(self) -> Any:
        """The next state."""
        while (line := self.response.readline()) != b"event: state\n":
            assert line, "the stream has ended"
        name, _, data = self.response.readline().decode().partition(": ")
        assert name == "data"
        return json.loads(data)

    def has_ended(self) -> bool:
        """Whether nothing but the end of the stream comes."""
        return self.response.read() == b"\n"

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@contextmanager
def events(client: Client) -> Iterator[Events]:
    opened = Events(client)
    try:
        yield opened
    finally:
        opened.close()


def test_page_is_told_what_changes(owner: Client, ana: Client) -> None:
    with events(owner) as stream:
        first = stream.next()
        ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})
        second = stream.next()

    assert stream.response.status == 200
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    assert stream.response.headers["cache-control"] == "no-store"
    assert [(state["who"], state["role"], state["answered"]) for state in (first, second)] == [
        ("owner", "owner", 0),
        ("owner", "owner", 1),
    ]


def test_many_changes_are_told_at_most_twice_a_second(owner: Client, project: InMemoryProject) -> None:
    with events(owner) as stream:
        stream.next()
        states, start = [], time.monotonic()
        while time.monotonic() - start < 2:
            project.message = str(time.monotonic())
            states.append(stream.next())

    assert 2 <= len(states) <= 5


def test_message_with_line_breaks_stays_one_message(owner: Client, project: InMemoryProject) -> None:
    project.message = "one\ntwo\r\n\nevent: state\ndata: {}\u2028"
    with events(owner) as stream:
        assert stream.next()["message"] == project.message


def test_page_that_leaves_is_forgotten(server: AnnotationServer, owner: Client) -> None:
    with events(owner) as stream:
        stream.next()
        assert server._server._app._live.num_readers == 1
    until = time.monotonic() + 5
    while server._server._app._live.num_readers and time.monotonic() < until:
        time.sleep(0.01)

    assert server._server._app._live.num_readers == 0


def test_stream_of_a_revoked_person_ends(tokens: Tokens, ana: Client, owner: Client) -> None:
    with events(ana) as hers, events(owner) as other:
        hers.next(), other.next()
        tokens.revoke("Ana María")
        start = time.monotonic()
        assert hers.has_ended()
        assert time.monotonic() - start < 3
        ended = owner.post("/api/answers", {"client": "tab", "events": [answered("a")]})
        assert ended.status == 200
        assert other.next()["answered"] == 1


def test_server_that_stops_ends_the_streams(server: AnnotationServer, owner: Client) -> None:
    streams = [Events(owner) for _ in range(20)]
    for stream in streams:
        stream.next()
    start = time.monotonic()
    assert server.stop()
    seconds = time.monotonic() - start

    assert all(stream.has_ended() for stream in streams)
    assert seconds < 1
    with pytest.raises(OSError):
        owner.get("/api/state")
