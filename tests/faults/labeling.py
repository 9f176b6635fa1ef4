"""Runs labeling projects that a bot labels over HTTP while their server and workers are killed.

Whatever was killed, the project must end like an undisturbed project, and must have each acknowledged answer exactly
once.
"""

import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from disturbed import comparable, files, tracked
from forked import Forge, Point, Running, hits, lines, operations
from PIL import Image

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.storage.folder import Folder

SETTINGS = """\
  model: {name: mobilenet_v3_small, weights: none, frozen: true}
  iterations: 2
  interactions_per_iteration: 10
  expert: people
  training: {epochs: 1, batch_size: 16, learning_rate: 0.005, image_size: 32}
  seed: 1
"""
# Whether a check is asked depends on how long the model is trained, so the logs of two projects with checks differ.
NO_CHECKS = "checks: {repeats: 0, shared: 0, audits: 0, look_again: 0, gold: 0}"
DIGITS = f"""\
name: digits
{NO_CHECKS}
experiment:
  dataset: {{name: digits, train_size: 60, test_size: 40}}
  scenario: cluster+uncertain
{SETTINGS}"""
IMAGES = f"""\
name: shapes
{NO_CHECKS}
experiment:
  dataset: {{name: images, root: ROOT}}
  scenario: uncertain+cluster
{SETTINGS}"""

# A project of a test takes some seconds. A project that has not ended after this time hangs.
MOST_SECONDS = 300.0
# These files are not compared: the log is compared event by event, links and ports are random, and a server that ends
# at once leaves no time for the report.
OTHER_FILES = re.compile(r"/people/(answers/|address\.txt|\.?access\.json)|^report/")
LINK = re.compile(r"label here: http://127\.0\.0\.1:(\d+)/#t=(\S+)")


class ServerIsGoneError(Exception):
    """The server does not answer, because it was killed."""


@dataclass
class Bot:
    """A person who answers all questions by their images, always in the same way and with the same timing.

    Attributes:
        classes: The class of each image, by its row.
        adds_classes: Whether the bot names new classes; it uses ids otherwise.
        acknowledged: The ids of the events that the server has acknowledged, in their order.
    """

    classes: Sequence[str]
    adds_classes: bool
    acknowledged: list[str] = field(default_factory=list)
    _unsent: list[dict[str, Any]] = field(default_factory=list)
    _times_seen: Counter[str] = field(default_factory=Counter)

    def work(self, port: int, token: str, until: float) -> None:
        """Answer questions until all rounds are finished.

        Raises:
            ServerIsGoneError: The server has ended. The bot can continue with another server.
        """
        page = Page(port, token)
        while time.monotonic() < until:
            self._send(page)
            given = page.call("/api/next", client=page.client, holding=[], want=1)
            if given["questions"]:
                self._unsent = self._events(given["questions"][0])
            elif page.call("/api/state")["phase"] == "finished":
                return
            else:
                time.sleep(0.02)
        raise AssertionError(f"the rounds are not finished: {page.call('/api/state')}")

    def _send(self, page: "Page") -> None:
        """Send the events that are not acknowledged yet, one at a time, as a page does."""
        while self._unsent:
            event = self._unsent[0]
            sent = page.call("/api/answers", client=page.client, events=[event])
            (receipt,) = sent["receipts"]
            if receipt["status"] == "refused":
                assert event["type"] == "undone", receipt  # The answer has closed the step.
                self._unsent = []
                return
            assert receipt["status"] in ("stored", "known"), receipt
            self.acknowledged.append(event["id"])
            del self._unsent[0]

    def _events(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The events with which the bot answers a question. Every seventh question first gets a wrong answer, which the
        bot takes back."""
        rows = _rows(question)
        counts = Counter(self.classes[row] for row in rows)
        name, count = min(counts.items(), key=lambda one: (-one[1], one[0]))
        self._times_seen[question["id"]] += 1
        choice = sum(rows) % 7
        right = self._answer(question, len(rows), 0)
        if count >= 0.6 * len(rows):
            right |= self._label(name)
            right["marked"] = [row for row in rows if self.classes[row] != name][:2]
        elif choice % 2 and question["half_of"] is None:
            right |= {"answer": "split"}
        else:
            right |= {"answer": "refused"}
        if choice != 3 or question["half_of"] is not None:
            return [right]
        wrong = self._answer(question, len(rows), 1) | {"answer": "unsure"}
        return [wrong, {"type": "undone", "id": self._id(question, 2)}, right]

    def _label(self, name: str) -> dict[str, Any]:
        key = "new_class" if self.adds_classes else "label"
        return {"answer": "label", key: name if self.adds_classes else int(name)}

    def _answer(self, question: Mapping[str, Any], shown: int, number: int) -> dict[str, Any]:
        timing = {"visible_ms": 1500, "first_input_ms": 500, "gaps_ms": []}
        return {
            "type": "answered",
            "id": self._id(question, number),
            "question": question["id"],
            "label": None,
            "new_class": None,
            "marked": [],
            "shown": shown,
            "timing": timing,
            "suggestion_shown": False,
        }

    def _id(self, question: Mapping[str, Any], number: int) -> str:
        seen = self._times_seen[question["id"]]
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{question['id']} {seen} {number}").hex


def _rows(question: Mapping[str, Any]) -> list[int]:
    """The images that a question shows."""
    if question["kind"] == "sample":
        return [question["image"]]
    bands: Mapping[str, list[int]] = question.get("bands") or {"all": question["all"]}
    return [row for band in bands.values() for row in band]


class Page:
    """The HTTP client of a bot."""

    def __init__(self, port: int, token: str) -> None:
        self.client = uuid.uuid4().hex
        self._origin = f"http://127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._cookie = ""
        self.call("/api/session", token=token)

    def call(self, path: str, **body: Any) -> Any:
        """Call the server and return its answer, which must be no error."""
        headers = {"Content-Type": "application/json", "Origin": self._origin, "Cookie": self._cookie}
        method = "POST" if body else "GET"
        while True:
            try:
                self._connection.request(method, path, json.dumps(body) if body else None, headers)
                with self._connection.getresponse() as response:
                    content, cookie = response.read(), response.getheader("Set-Cookie")
            except (OSError, http.client.HTTPException) as error:
                raise ServerIsGoneError from error
            if response.status != 503:
                break
            time.sleep(0.02)  # The server still opens the project, or it is ending.
        assert response.status == 200, (path, response.status, content)
        self._cookie = cookie.partition(";")[0] if cookie else self._cookie
        return json.loads(content)


@dataclass(frozen=True, slots=True)
class Labeling:
    """A labeling project to disturb.

    Attributes:
        name: The name of the project.
        folder: The folder that gets a folder for each disturbed project.
        project: The project file.
        database: An empty MLflow database that has its tables.
        forge: Starts the processes.
        classes: The class of each image, by its row.
        adds_classes: Whether the bot names the classes.
        whole: The outcome of the undisturbed project.
        events: The log of the undisturbed project.
    """

    name: str
    folder: Path
    project: Path
    database: Path
    forge: Forge
    classes: Sequence[str]
    adds_classes: bool
    whole: dict[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)

    def undisturbed(self) -> "Labeling":
        """Label the project undisturbed. Disturbed projects are compared with the result."""
        storage = self.folder / "whole"
        wrong = self.label(storage)
        assert str(wrong).startswith("different: "), wrong  # `whole` is still empty.
        self.whole.update(self.outcome(storage))
        return self

    def label(
        self,
        storage: Path,
        points: Sequence[Point] = (),
        disturb: Callable[[Running], object] = lambda server: None,
    ) -> str | None:
        """Let a bot label a project to its end. A server that was killed is started again.

        Args:
            storage: A folder that is made.
            points: Where the processes are killed, once at each point; see `Forge.serve`.
            disturb: Called with each new server.

        Returns:
            A description of what is wrong; None if nothing is wrong.
        """
        storage.mkdir()
        shutil.copy(self.database, storage / "mlflow.db")
        bot = Bot(self.classes, self.adds_classes)
        while True:
            until = time.monotonic() + MOST_SECONDS  # for each server, however many of them are killed
            server = self.forge.serve(storage, *self.arguments(storage), points=points)
            disturb(server)
            try:
                bot.work(*_address(server), until)
                server.kill(signal.SIGTERM)
            except ServerIsGoneError:
                pass
            except BaseException:
                server.kill()
                raise
            code = server.wait(90)
            if code == 128 + signal.SIGTERM:
                break
            if code != -signal.SIGKILL:
                server.kill()
                return f"exit code {code}: {server.output()}"
        wrong = self.difference(storage) or self._lost(storage, bot)
        missed = {f"{place} {operation}" for operation, place in points} - {*lines(hits(storage))}
        return wrong or (f"not killed: {missed}" if missed else None)

    def arguments(self, storage: Path) -> list[str]:
        """The arguments of the command line."""
        tracking = f"tracking.uri=sqlite:///{storage}/mlflow.db"
        return [str(self.project), "--port", "0", "--storage", str(storage), "--set", tracking]

    def crash_points(self) -> list[Point]:
        """All points of the undisturbed project at which a crash leaves different files; see
        `raycal.storage.folder.Folder.write`."""
        noted = dict.fromkeys(lines(operations(self.folder / "whole")))
        points = [(operation, "before") for operation in noted]
        points += [(operation, "torn") for operation in noted if " write " in operation]
        return points + [(operation, "after") for operation in noted]

    def difference(self, storage: Path) -> str | None:
        """A description of what differs from the undisturbed project in the files, apart from the log."""
        found = self.outcome(storage)
        different = [name for name in {**self.whole, **found} if self.whole.get(name) != found.get(name)]
        return f"different: {different}" if different else None

    def outcome(self, storage: Path) -> dict[str, Any]:
        """The files that must not differ, by name."""
        found = comparable(files(Folder.at(str(storage)).folder(self.name)))
        same = {name: content for name, content in found.items() if not OTHER_FILES.search(name)}
        return same | {"MLflow": tracked(storage, self.name)}

    def log(self, storage: Path) -> list[Any]:
        """All events of the log in their order, without times of day."""
        (answers,) = storage.glob("*/*/people/answers")
        lines = [line for file in sorted(answers.glob("*.jsonl")) for line in file.read_bytes().splitlines()]
        return sorted((json.loads(line) | {"time": ""} for line in lines), key=lambda event: event["seq"])

    def _lost(self, storage: Path, bot: Bot) -> str | None:
        """A description of what is wrong with the log. The log must hold each acknowledged event once, and equal the
        undisturbed log."""
        events = self.log(storage)
        times = Counter(event["id"] for event in events)
        wrong = {one: times[one] for one in bot.acknowledged if times[one] != 1}
        if wrong or len(times) < len(events):
            return f"times in the log: {wrong}, {times.most_common(1)}"
        without_id = [{k: v for k, v in event.items() if (k, event["type"]) != ("id", "closed")} for event in events]
        if self.events and without_id != self.events:
            return f"the log differs: {without_id}"
        if not self.events:
            self.events.extend(without_id)
        return None


def digit_classes() -> list[str]:
    """The class of each image of `DIGITS`, as text."""
    settings = yaml.safe_load(DIGITS)["experiment"]
    config = ExperimentConfig.model_validate(settings, context=build.REGISTRIES)
    return [str(label) for label in build.dataset(config).load().labels]


def painted_images(folder: Path, number: int) -> list[str]:
    """Write images of three classes that differ in their color, and return the class of each."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    names = ["red", "green", "blue"]
    classes = [names[row % 3] for row in range(number)]
    for row, name in enumerate(classes):
        pixels = rng.integers(0, 100, (32, 32, 3), np.uint8)
        pixels[..., names.index(name)] += 150
        Image.fromarray(pixels).save(folder / f"{row:04d}.png")
    return classes


def report_of(sweep_folder: Path) -> dict[str, Any]:
    """Write the report of a project, and return its files that must not differ."""
    subprocess.run([sys.executable, "-m", "raycal.report", str(sweep_folder)], check=True, capture_output=True)
    return comparable(files(Folder.at(str(sweep_folder / "report"))))


def _address(server: Running) -> tuple[int, str]:
    """The port of a new server, and the token of its owner.

    Raises:
        ServerIsGoneError: The server has ended before it could be reached.
    """
    until = time.monotonic() + 60
    while time.monotonic() < until:
        link = LINK.search(server.output())
        if link is not None:
            return int(link[1]), link[2]
        if server.code is not None:
            raise ServerIsGoneError
        time.sleep(0.02)
    raise AssertionError(f"no link: {server.output()}")
