"""The page of a project is open while its images are read."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_memory import Client, answered
from PIL import Image

from raycal.annotate.opening import OpeningProject, StillOpeningError


class Opened:
    """A project and pictures that say what they were asked."""

    num_changes = 7

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments)) or name


def test_calls_before_the_images_are_read_wait_and_lose_nothing() -> None:
    opening = OpeningProject({"project": "birds", "rounds": 3})
    opening.tell(34_000, 100_000)

    state = opening.state("ana")
    words = "The images are being read: 34,000 of 100,000. Later starts find them in the cache."
    assert (state["project"], state["who"], state["phase"], state["rounds"]) == ("birds", "ana", "preparing", 3)
    assert state["message"] == words
    # A page that was open before a restart keeps its questions and its answers.
    assert opening.next("ana", "a1", ["0.0.1"], 3) == {"questions": [], "lost": [], "wait": words}
    assert opening.heartbeat("ana", "a1", ["0.0.1"]) == {"lost": []}
    opening.release("a1", ["0.0.1"])
    for call in (
        lambda: opening.submit("ana", "a1", []),
        lambda: opening.more("ana", "0.0.1", 0),
        lambda: opening.close_round("ana"),
        lambda: opening.thumbnail(0),
        lambda: opening.full(0),
        lambda: opening.model(0),
    ):
        with pytest.raises(StillOpeningError, match="The images are still being read"):
            call()


def test_calls_afterwards_go_to_the_project() -> None:
    opening, opened = OpeningProject({}), Opened()
    before = opening.num_changes
    opening.tell(1, 2)
    assert opening.num_changes == before + 1
    opening.open(opened, opened)  # type: ignore[arg-type]

    assert opening.num_changes > before + opened.num_changes
    assert opening.submit("ana", "a1", ["x"]) == "submit"  # type: ignore[comparison-overlap]
    assert opening.thumbnail(4) == "thumbnail"  # type: ignore[comparison-overlap]
    opening.next("ana", "a1", [], 1)
    opening.state("ana")
    assert opened.calls == [
        ("submit", "ana", "a1", ["x"]),
        ("thumbnail", 4),
        ("next", "ana", "a1", [], 1),
        ("state", "ana"),
    ]


def test_state_has_the_keys_of_a_project(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "people"))
    from small_project import project

    from raycal.storage.folder import Folder

    with project(Folder.at(str(tmp_path)), epoch="e") as one:
        opened = one.state("ana")
    opening = OpeningProject({}, epoch="e").state("ana")
    assert opening.keys() == opened.keys()
    assert opening["epoch"] == opened["epoch"] == "e"
    types = {name: type(value) for name, value in opened.items() if value is not None and opening[name] is not None}
    assert types == {name: type(opening[name]) for name in types}


# Decoding waits until the test has looked at the page.
SLOW = """
import sys, time, pathlib
from raycal.data import decode
original = decode.decode_image
def slow(path, *, side):
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    return original(path, side=side)
decode.decode_image = slow
from raycal.annotate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    rng = np.random.default_rng(0)
    (tmp_path / "birds").mkdir()
    for row in range(40):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(tmp_path / "birds" / f"{row}.png")
    settings = ("model={name: resnet18, weights: none}", "training={stop: steps, steps: 1, image_size: 32}")
    arguments = ["birds", "--port", "0", *(part for one in settings for part in ("--set", one))]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


def client_of(process: subprocess.Popen[str]) -> Client:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.match(r"label here: http://127\.0\.0\.1:(\d+)/#t=(.*)", line)
        if found:
            return Client(int(found[1])).log_in(found[2])
    raise AssertionError("the command has ended")


@pytest.mark.slow
def test_page_is_open_while_the_images_are_read(command: subprocess.Popen[str], tmp_path: Path) -> None:
    client = client_of(command)
    state = client.get("/api/state").json
    assert (state["phase"], state["project"], state["total"]) == ("preparing", "birds", 40)
    assert state["message"].startswith("The images are being read")
    refused = client.post("/api/answers", {"client": "a1", "events": [answered("0" * 32, "h.0")]})
    assert (refused.status, refused.error) == (
        503,
        "The images are still being read.",
    )

    (tmp_path / "go").touch()
    until = time.monotonic() + 60
    while not (given := client.post("/api/next", {"client": "a1", "holding": [], "want": 1}).json)["questions"]:
        assert time.monotonic() < until, given
        time.sleep(0.05)
    (question,) = given["questions"]
    event = answered("0" * 32, question["id"], label=None, new_class="robin")
    (receipt,) = client.post("/api/answers", {"client": "a1", "events": [event]}).json["receipts"]
    assert (receipt["status"], receipt["text"]) == ("stored", "1 image as robin")
    now = client.get("/api/state").json
    assert (now["epoch"], now["project_id"], now["total"]) == (state["epoch"], state["project_id"], state["total"])


@pytest.mark.slow
def test_interrupt_while_the_images_are_read_leaves_a_project_that_starts_again(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    client_of(command)
    command.send_signal(signal.SIGINT)
    assert command.stdout is not None
    words = "the images are not read yet; the same command reads them again"
    assert any(line.startswith(words) for line in iter(command.stdout.readline, ""))
    (tmp_path / "go").touch()
    assert command.wait(20) == 130
    # Nothing is planned, so the settings may still change.
    assert not list(tmp_path.glob("runs/birds/plan.json"))
