"""A disk that is full or read-only while people label: nothing that was acknowledged is lost, and the server goes on by
itself."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from in_memory import Client
from person import Person, wait_for
from PIL import Image

from raycal.people.events import Answered
from raycal.people.log import read_events
from raycal.storage.folder import Folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SETTINGS = (
    "model={name: mobilenet_v3_small, weights: none}",
    "training={stop: steps, steps: 2, batch_size: 8, learning_rate: 0.005, image_size: 32}",
    "dataset.holdout=6",
    "scenario=random",
    "iterations=2",
    "interactions_per_iteration=4",
)
# The server tries again after this time, which is 20 seconds outside of the tests.
COMMAND = """
import sys
from raycal.annotate import rounds
rounds.RETRY_SECONDS = 0.5
from raycal.annotate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Disk:
    """A small file system in memory, which is mounted at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", path], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("this user cannot mount a disk in memory")

    def fill(self) -> None:
        with open(self.path / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536) if os.statvfs(self.path).f_bavail > 16 else bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        (self.path / "filler").unlink()

    def make_read_only(self) -> None:
        """Mount the disk over itself, so that no file can be opened to be written. Files that are open stay so."""
        subprocess.run(["mount", "--bind", self.path, self.path], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.path], check=True)

    def make_writable(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)

    def remove(self) -> None:
        while os.path.ismount(self.path):
            subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    found = Disk(tmp_path / "disk")
    yield found
    found.remove()


class Command:
    """The command, whose output is kept in `lines`."""

    def __init__(self, folder: Path, storage: Path) -> None:
        rng = np.random.default_rng(0)
        (folder / "birds").mkdir()
        for row in range(40):
            Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save(folder / "birds" / f"{row:02}.png")
        arguments = ["birds", "--port", "0", "--storage", str(storage)]
        arguments += [part for one in SETTINGS for part in ("--set", one)]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def link(self) -> str:
        wait_for(lambda: self.process.poll() is not None or any("#t=" in line for line in self.lines), self.lines)
        return next(line.removeprefix("label here: ") for line in self.lines if line.startswith("label here: "))

    def client(self) -> Client:
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#t=(.*)", self.link())
        assert found
        return Client(int(found[1])).log_in(found[2])


@pytest.fixture
def command(tmp_path: Path, disk: Disk) -> Iterator[Command]:
    found = Command(tmp_path, disk.path)
    yield found
    found.process.kill()
    found.process.wait()
    print(*found.lines, sep="\n")


def stored(disk: Disk) -> list[str]:
    (run,) = (path.parent for path in disk.path.glob("birds/*/people"))
    return [event.id for event in read_events(Folder.at(str(run))) if isinstance(event, Answered)]


FULL = "The answers could not be stored: No space left on device."
READ_ONLY = "The answers could not be stored: Read-only file system."


@pytest.mark.parametrize("sentence", [FULL, pytest.param(READ_ONLY, marks=pytest.mark.long)], ids=["full", "read-only"])
def test_answers_and_training_go_on_when_the_disk_can_be_written_again(
    command: Command, disk: Disk, sentence: str
) -> None:
    def break_disk() -> None:
        disk.fill() if sentence == FULL else disk.make_read_only()

    def mend_disk() -> None:
        disk.free() if sentence == FULL else disk.make_writable()

    person = Person(command.client())
    person.answer_until(lambda state: state["holdout"]["answered"] == 4)
    break_disk()
    for _ in range(3):
        response = person.answer()
        assert (response.status, response.error) == (503, sentence)
    assert person.state()["holdout"]["answered"] == 4
    assert stored(disk) == person.acknowledged
    mend_disk()
    person.answer_until(lambda state: state["iteration"] == 0 and state["round_answered"] == 3)

    # The last answer of the round is stored, and then the model cannot be saved.
    assert person.answer().status == 200
    break_disk()
    state = wait_for(lambda: (state := person.state())["phase"] == "waiting" and state, person.state)
    assert sentence.rpartition(": ")[2] in state["message"]
    assert state["message"].endswith(" raycal tries again. All answers are stored.")
    assert stored(disk) == person.acknowledged
    mend_disk()
    person.answer_until(lambda state: state["phase"] == "finished")

    assert len(person.acknowledged) == len({*person.acknowledged}) >= 8
    assert stored(disk) == person.acknowledged
    assert [result["iteration"] for result in person.state()["results"]] == [0, 1]
    command.process.send_signal(2)
    assert command.process.wait(60) == 130
    assert not any("Traceback" in line for line in command.lines), command.lines
