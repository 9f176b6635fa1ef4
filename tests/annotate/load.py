"""Measures how long people wait for the server: `python tests/annotate/load.py --people 50 --seconds 20`.

The server runs in a process of its own, with a project in memory that takes as long to store an answer as a disk does.
Every person has an open event stream and, once a second, asks for a question, gets a bundle of thumbnails, and answers.
"""

import argparse
import http.client
import json
import math
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

from in_memory import InMemoryPictures, InMemoryProject, answered

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.storage.folder import Folder

IMAGES = 10**6
COMMIT_SECONDS = 0.015  # A group commit waits 10 ms for other answers, and then for the disk.


def run_server(people: int, place: str, pipe: Connection) -> None:
    """Serve until a message comes through the pipe, and then send back what was stored."""
    project, tokens = InMemoryProject(IMAGES, commit_seconds=COMMIT_SECONDS), Tokens(Folder.at(place))
    project.next = lambda who, client, holding, want: {"questions": [], "wait": None}  # type: ignore[method-assign]
    options = ServerOptions(port=0)
    with AnnotationServer(project, InMemoryPictures(IMAGES), tokens, options, static=Path(place)) as server:
        pipe.send((server.port, tokens.cookie, [_secret(tokens, number) for number in range(people)]))
        pipe.recv()
        pipe.send(list(project.answers))


def _secret(tokens: Tokens, number: int) -> str:
    login = tokens.log_in(tokens.invite(f"person {number}"))
    assert login is not None
    return login.secret


class PersonAtWork:
    """A person who answers once a second."""

    def __init__(self, port: int, cookie: str, seconds: float, delay: float) -> None:
        self._port, self._cookie, self._seconds, self._delay = port, cookie, seconds, delay
        self.waited: dict[str, list[float]] = {"next": [], "pictures": [], "answers": []}
        self.stored: list[str] = []
        self.num_states = 0

    def work(self) -> None:
        """Ask for questions and answer them until the time is over."""
        stream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        stream.request("GET", "/api/events", headers={"Cookie": self._cookie})
        response = stream.getresponse()
        threading.Thread(target=self._read, args=(response,), daemon=True).start()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        start = time.monotonic() + self._delay
        for second in range(math.ceil(self._seconds)):
            time.sleep(max(0.0, start + second - time.monotonic()))
            self._post("next", {"client": "tab", "holding": [], "want": 3})
            self._post("pictures", {"rows": list(range(36))})
            event = uuid4().hex
            content = self._post("answers", {"client": "tab", "events": [answered(event)]})
            self.stored += [receipt["id"] for receipt in json.loads(content)["receipts"]]

    def _post(self, name: str, message: object) -> bytes:
        headers = {"Cookie": self._cookie, "Content-Type": "application/json"}
        start = time.perf_counter()
        self._connection.request("POST", f"/api/{name}", json.dumps(message), headers)
        response = self._connection.getresponse()
        content = response.read()
        self.waited[name].append(time.perf_counter() - start)
        assert response.status == 200, content
        return content

    def _read(self, response: http.client.HTTPResponse) -> None:
        while line := response.readline():
            self.num_states += line.startswith(b"event: state")


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """The smallest value that at least this percentage of the values do not exceed."""
    return sorted_values[max(0, math.ceil(len(sorted_values) * percent / 100) - 1)]


def measure(people: int, seconds: float) -> tuple[dict[str, list[float]], int, int, int]:
    """The waiting times by request, sorted, then the numbers of lost and doubled answers and of states sent."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    with tempfile.TemporaryDirectory() as place:
        process = context.Process(target=run_server, args=(people, place, other))
        process.start()
        port, cookie, secrets = pipe.recv()
        team = [
            PersonAtWork(port, f"{cookie}={secret}", seconds, number / people) for number, secret in enumerate(secrets)
        ]
        threads = [threading.Thread(target=person.work) for person in team]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipe.send("stop")
        stored = pipe.recv()
        process.join(10)
    acknowledged = [event for person in team for event in person.stored]
    waited = {name: sorted(value for person in team for value in person.waited[name]) for name in team[0].waited}
    lost, doubled = len(set(acknowledged) - set(stored)), len(stored) - len(set(stored))
    return waited, lost, doubled, sum(person.num_states for person in team)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the waiting times, and print one line per kind of request."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])  # type: ignore[union-attr]
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args(arguments)
    waited, lost, doubled, num_states = measure(options.people, options.seconds)
    for name, values in waited.items():
        figures = ", ".join(f"{text} {1000 * percentile(values, at):.0f}" for text, at in FIGURES)
        print(f"{name:9} {len(values)} requests, milliseconds: {figures}")
    print(f"lost {lost}, doubled {doubled}, states sent {num_states}")
    return 1 if lost or doubled else 0


FIGURES = (("median", 50), ("p95", 95), ("p99", 99), ("longest", 100))

if __name__ == "__main__":
    sys.exit(main())
