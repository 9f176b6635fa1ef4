"""Tests that answers survive failing disks and killed servers: the log has each acknowledged answer exactly once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest
from small_project import answer, clusters, project, undo

from raycal.people.events import Answered
from raycal.people.fold import Arrival, fold
from raycal.people.log import NotStoredError, read_events
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

NUM_PEOPLE, EACH = 20, 12

SERVER = """
import sys, threading
from small_project import answer, clusters, project
from uuid import uuid4
from raycal.people.steps import StepFiles
from raycal.storage.folder import Folder

StepFiles(Folder.at(sys.argv[1]).folder("people/steps")).write(clusters(60))
one = project(Folder.at(sys.argv[1]), group_seconds=0.002)
one.open_step(clusters(60), 0, "open")
lock = threading.Lock()

def label(person):
    while True:
        event = {**answer(0, f"0.0.{person}"), "id": uuid4().hex}
        (receipt,) = one.submit(f"p{person}", f"c{person}", [event])
        with lock:
            print(receipt["id"], receipt["seq"], flush=True)

for person in range(8):
    threading.Thread(target=label, args=(person,)).start()
"""


def test_nothing_is_lost_or_doubled_while_the_disk_fails_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty people send each answer until it is acknowledged. A third of the writes fail, some after writing."""
    run, write, rng = Folder.at(str(tmp_path)), Folder.write, random.Random(5)

    def failing(folder: Folder, name: str, content: bytes) -> None:
        kind = rng.random()
        if kind < 0.2:
            raise OSError(28, "No space left on device")
        write(folder, name, content)
        if kind < 0.33:
            raise TimeoutError("no reply")

    acknowledged: dict[str, int] = {}
    failures = []
    with project(run, group_seconds=0.001) as one:
        monkeypatch.setattr(Folder, "write", failing)
        one.open_step(clusters(40), 0, OPEN)

        def label(person: int) -> None:
            for number in range(EACH):
                event = answer(0, f"0.0.{person}", number % 5, id=UUID(int=1000 * person + number).hex)
                if number % 3 == 2:
                    event = {**undo(0), "id": event["id"]}
                while True:
                    try:
                        (receipt,) = one.submit(f"p{person}", f"c{person}", [event])
                        break
                    except NotStoredError as error:
                        failures.append(error)
                assert receipt["status"] in ("stored", "known", "second")
                acknowledged[receipt["id"]] = receipt["seq"]

        threads = [threading.Thread(target=label, args=(person,)) for person in range(NUM_PEOPLE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        replies = {key: reply.label for key, reply in one.memory.board.steps[0, 0].replies.items()}
    events = read_events(run)

    assert len(failures) > 20
    assert {event.id: event.seq for event in events} == acknowledged
    assert [event.seq for event in events] == list(range(1, NUM_PEOPLE * EACH + 1))
    # Each person gave eight answers and took back four. Of the other four, the first one counts, and three are second
    # opinions.
    book = fold(events)
    assert {key: reply.label for key, reply in book.replies(clusters(40)).items()} == replies
    assert len(replies) == NUM_PEOPLE
    arrivals = [one.arrival for person in range(NUM_PEOPLE) for one in book.answers(f"0.0.{person}")]
    assert arrivals.count(Arrival.FIRST) == NUM_PEOPLE


@pytest.mark.parametrize("seed", range(3))
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    acknowledged: list[tuple[str, int]] = []
    for _ in range(2):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        with subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path / "run")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as server:
            assert server.stdout is not None
            first = server.stdout.readline()
            time.sleep(rng.uniform(0, 0.3))
            server.send_signal(signal.SIGKILL)
            lines = [first, *server.stdout]
        # A reader does not take a line for an acknowledgment if the kill cut it off.
        acknowledged += [(line.split()[0], int(line.split()[1])) for line in lines if line.endswith("\n")]
        events = read_events(Folder.at(str(tmp_path / "run")))
        assert set(acknowledged) <= {(event.id, event.seq) for event in events}
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len({event.id for event in events}) == len(events)
    assert len(acknowledged) >= 2
    with project(Folder.at(str(tmp_path / "run"))) as one:  # A killed server leaves no lock behind.
        one.open_step(clusters(60), 0, OPEN)
        assert one.state("ana")["answered"] == len({e.question for e in events if isinstance(e, Answered)})
