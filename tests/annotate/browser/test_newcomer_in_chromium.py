"""Tests in Chromium, with the real server, how a newcomer is told after each of the first answers what others said."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from real import Annotator
from small_project import NUM_IMAGES, TEST_ROWS, TRAIN_ROWS, TRUTH, answer, dataset, event_id, samples
from small_project import project as small_project

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.checks import CheckRates
from raycal.people.guidelines import Guidelines
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

COLORS = np.array([(150, 110, 70), (200, 70, 50), (80, 130, 200), (50, 50, 60), (130, 170, 210)], np.uint8)
WORDS = Guidelines(classes={"robin": "A red breast.", "tit": "Small and blue. " * 4})
DIFFERENCE = '[data-notice="gold"]'
RESULT = '[data-notice="gold-result"]'


@contextmanager
def newcomer(context: Any, folder: Folder) -> Iterator[Annotator]:
    """A person who comes to a project in which two people have labeled ten images of the hold-out, two of each class,
    and the owner ten images of the pool."""
    images = replace(dataset(), images=np.broadcast_to(COLORS[TRUTH][:, None, None], (NUM_IMAGES, 40, 40, 3)).copy())
    tokens, numbers, step = Tokens(folder.folder("people")), count(1), samples(40)
    with (
        small_project(folder, holdout=30, checks=CheckRates(gold=10), guidelines=WORDS) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        project.open_step(step, 0, OPEN)
        by_owner = {one.id: TRAIN_ROWS[one.by_distance[0]] for one in step.first[:10]}
        by_both = {f"h.{number}": TEST_ROWS[number] for number in range(10)}
        for who, rows in (("owner", by_owner | by_both), ("ana", by_both)):
            for question, row in rows.items():
                given = {**answer(0, question, int(TRUTH[row])), "id": event_id(next(numbers))}
                assert project.submit(who, "x1", [given])[0]["status"] in ("stored", "second")
        person = Annotator(context, f"http://127.0.0.1:{server.port}/#t={tokens.invite('Ben')}")
        yield person
        assert person.errors == []


def answer_next(person: Annotator, *, is_wrong: bool) -> tuple[int, int]:
    """Answer the question on the screen, and wait for the receipt. Return what was said, and the truth."""
    question = person.next_question()
    truth = int(TRUTH[question["image"]])
    said = (truth + is_wrong) % 5
    before = person.page.inner_text("#receipt")
    person.label(said)
    person.all_sent()
    person.page.wait_for_function("(id) => document.body.dataset.question !== id", arg=question["id"])
    person.page.wait_for_function(
        "(before) => document.getElementById('receipt').textContent.startsWith('You said')"
        " || document.getElementById('receipt').textContent !== before",
        arg=before,
    )
    return said, truth


def barriers(person: Annotator) -> list[str]:
    """The serious and critical findings, each with the elements that it is about, once the receipt has faded in."""
    person.page.wait_for_function("() => !document.getElementById('receipt').getAnimations().length")
    found = Axe().run(person.page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_newcomer_learns_from_known_images(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    names = ("wren", "robin", "tit", "crow", "jay")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    with newcomer(context, Folder.at(str(tmp_path))) as person:
        pictures = set()
        for number in range(10):
            said, truth = answer_next(person, is_wrong=number % 2 == 1)
            receipt = person.page.inner_text("#receipt")
            if number % 2 == 0:
                assert receipt == f"You said {names[truth]}; two people before you said the same."
                continue
            sentence = f"You said {names[said]}; two people before you said {names[truth]}."
            assert receipt == sentence
            person.page.wait_for_function(
                "([at, text]) => document.querySelector(`${at} > span`)?.textContent === text",
                arg=[DIFFERENCE, sentence],
            )
            lesson = person.page.inner_text(f"{DIFFERENCE} .lesson p")
            assert lesson.startswith(names[truth])
            assert ("A red breast." in lesson) == (truth == 1)
            asked, examples = (person.page.locator(f"{DIFFERENCE} {at} img") for at in ("> .known", ".lesson .known"))
            assert (asked.count(), examples.count()) == (1, 2)
            pictures.update(asked.evaluate_all("(all) => all.map((one) => one.naturalWidth)"))
            assert barriers(person) == []
            assert not person.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert min(pictures) > 0  # They are decoded.
        assert person.page.inner_text(f"{RESULT} span").startswith("5 of 10 agree with the known labels.")
        assert person.page.locator('[data-action="undo"]').count() == 0
        assert barriers(person) == []
        is_dismissed = width == 390
        if is_dismissed:
            person.page.click(f"{RESULT} button")
        person.page.wait_for_timeout(3100)
        assert person.page.locator(RESULT).count() == (0 if is_dismissed else 1)
        said, truth = answer_next(person, is_wrong=True)  # a question of the round, which says nothing
        assert person.page.inner_text("#receipt") == f"1 image as {names[said]}"
        assert (person.page.locator(DIFFERENCE).count(), person.page.locator(RESULT).count()) == (0, 0)
    context.close()


def test_answer_that_cannot_be_taken_back_stands(context: Any, tmp_path: Path) -> None:
    with newcomer(context, Folder.at(str(tmp_path))) as person:
        question = person.next_question()
        person.page.route("**/api/answers", lambda route: (person.page.wait_for_timeout(600), route.continue_()))
        person.label(0)
        person.press("z")  # before the page knows what kind of question it was
        person.all_sent()
        person.page.wait_for_function(
            "() => document.getElementById('receipt').textContent.startsWith('You were told whether others agree')"
        )
        assert person.next_question()["id"] != question["id"]
        assert person.page.locator('[data-action="undo"]').count() == 0
