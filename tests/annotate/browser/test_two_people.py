"""Tests that two people at the real page and the real server never look at the same question."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from real import Annotator
from set_clock import Clock
from small_project import clusters, dataset, halve, samples
from small_project import project as small_project

from raycal.algorithm.questions import StepQuestions
from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.events import Answered
from raycal.people.fold import fold
from raycal.people.log import read_events
from raycal.people.memory import OPEN
from raycal.people.project import Project
from raycal.storage.folder import Folder

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SHOWN = """() => {
  window.shown = new Set();
  const note = () => document.body.dataset.question && window.shown.add(document.body.dataset.question);
  new MutationObserver(note).observe(document.body, { attributes: true, attributeFilter: ["data-question"] });
  note();
}"""
GONE = 46.0  # A page that was silent for this many seconds holds no questions.


class Office:
    """A served project, with a clock that the test moves, and the people who label it."""

    def __init__(
        self, folder: Folder, project: Project, clock: Clock, tokens: Tokens, server: AnnotationServer
    ) -> None:
        self.folder, self.project, self.clock, self.tokens, self.server = folder, project, clock, tokens, server

    def link(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.port}/#t={self.tokens.invite(name)}"

    def open(self, step: StepQuestions) -> None:
        self.project.open_step(step, step.iteration, OPEN, halve=halve)

    def answers(self) -> list[Answered]:
        return [event for event in read_events(self.folder) if isinstance(event, Answered)]

    @contextmanager
    def rounds(self, steps: Sequence[StepQuestions]) -> Iterator[threading.Thread]:
        """Open one step after the other, each as soon as the previous step is closed."""

        def run() -> None:
            for step in steps:
                self.open(step)
                while not self.project.wait_closed(0.1):
                    pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield thread


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    folder, clock, images = Folder.at(str(tmp_path / "run")), Clock(), dataset()
    tokens = Tokens(folder.folder("people"))
    with (
        small_project(folder, clock=clock) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        yield Office(folder, project, clock, tokens, server)


def steps(number: int) -> list[StepQuestions]:
    """Rounds with a step of ten clusters and a step of ten single images."""
    rounds = range(number // 2)
    return [
        step for one in rounds for step in (clusters(10, iteration=one), samples(10, iteration=one, start=300 + one))
    ]


@pytest.mark.long
def test_no_question_is_on_two_screens_in_300_answers(contexts: Callable[[], Any], office: Office) -> None:
    rng = random.Random(4)
    todo = steps(30)
    with office.rounds(todo) as thread:
        people = [Annotator(contexts(), office.link(name)) for name in ("Ana", "Ben")]
        for person in people:
            person.page.evaluate(SHOWN)
        until = time.monotonic() + 100
        while thread.is_alive() and time.monotonic() < until:
            person = rng.choice(people)
            if person.question() is not None:
                person.label(rng.randrange(5))
        assert not thread.is_alive(), office.project.state("")
        for person in people:
            person.all_sent()
            assert person.errors == []
    ana, ben = ({*person.page.evaluate("[...window.shown]")} for person in people)
    assert ana & ben == set()
    asked = {question.id for step in todo for question in step.first}
    assert ana | ben == asked
    assert len(asked) == len(office.answers()) == 300
    assert fold(read_events(office.folder)).second_opinions == {}
    assert min(len(ana), len(ben)) > 75  # Both people had enough questions.


def test_closed_tab_frees_its_question_at_once(contexts: Callable[[], Any], office: Office) -> None:
    office.open(samples(2))
    ana = Annotator(contexts(), office.link("Ana"))
    assert ana.next_question()["id"] == "0.1.0"
    ben = Annotator(contexts(), office.link("Ben"))
    ben.page.wait_for_function("() => document.body.innerText.includes('other person is still answering 2 questions.')")

    closed = time.monotonic()
    ana.page.close()

    assert ben.next_question(seconds=10)["id"] == "0.1.0"
    # The page learned of the new step before its next poll, because an idle page asks the server only every five
    # seconds.
    assert time.monotonic() - closed < 3
    assert ben.errors == []


def test_crashed_tab_frees_its_question_within_a_minute(contexts: Callable[[], Any], office: Office) -> None:
    office.open(samples(2))
    ana = Annotator(contexts(), office.link("Ana"))
    assert ana.next_question()["id"] == "0.1.0"
    ben = Annotator(contexts(), office.link("Ben"))
    ben.page.wait_for_function("() => document.body.innerText.includes('other person is still answering 2 questions.')")
    crash(ana)
    office.clock.now += GONE - 2
    time.sleep(6)  # The page of Ben asks every five seconds.
    assert ben.question() is None

    office.clock.now += 2

    assert ben.next_question(seconds=10)["id"] == "0.1.0"
    ben.label(0)
    assert ben.next_question(seconds=10)["id"] == "0.1.1"
    assert ben.errors == []


def crash(person: Annotator) -> None:
    """End the process of a tab, which cannot say that it leaves."""
    with suppress(sync_api.Error):
        person.page.goto("chrome://crash")


def test_late_answer_becomes_a_second_opinion(contexts: Callable[[], Any], office: Office) -> None:
    office.open(samples(3))
    away = contexts()
    ana = Annotator(away, office.link("Ana"))
    assert ana.next_question()["id"] == "0.1.0"
    ben = Annotator(contexts(), office.link("Ben"))
    assert ben.next_question()["id"] == "0.1.2"
    away.set_offline(True)
    ana.label(1)
    office.clock.now += GONE
    ben.label(2)
    assert ben.next_question(seconds=10)["id"] == "0.1.0"
    ben.label(3)
    ben.all_sent()

    away.set_offline(False)
    ana.all_sent()

    given = [(one.who, one.question, one.label) for one in office.answers()]
    assert given == [("person-2", "0.1.2", 2), ("person-2", "0.1.0", 3), ("person-1", "0.1.0", 1)]
    book = fold(read_events(office.folder))
    counted = book.counted("0.1.0")
    assert counted is not None
    assert counted.label == 3
    assert [(one.who, one.label) for one in book.second_opinions["0.1.0"]] == [("person-1", 1)]
    notice = "1 image as robin; the question was answered before, so this is kept as a second opinion"
    assert ana.page.locator("[data-notice=uncounted]").inner_text() == notice
    assert ana.errors == []


def test_revoked_person_is_shown_out_with_a_sentence(contexts: Callable[[], Any], office: Office) -> None:
    office.open(samples(10))
    ana = Annotator(contexts(), office.link("Ana"))
    ben = Annotator(contexts(), office.link("Ben"))
    ana.next_question()
    ana.label(1)
    ana.all_sent()

    office.tokens.revoke("Ana")

    dialog = ana.page.locator("dialog[data-name=signed-out]")
    dialog.wait_for(timeout=15_000)
    assert "the owner has ended your access" in dialog.inner_text()
    assert ana.page.evaluate("async () => (await fetch('/image/0/full')).status") == 401
    ben.next_question()
    ben.label(1)
    ben.all_sent()
    assert len(office.answers()) == 2  # The answers that Ana gave before the crash stay.
