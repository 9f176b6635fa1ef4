"""Tests in Chromium, with the real server, that a question with hidden checks looks like any other, and that the page
says after the answer which of them were found."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from real import Annotator
from small_project import NUM_IMAGES, TRAIN_ROWS, clusters, dataset
from small_project import project as small_project

from raycal.algorithm.questions import Probe, StepQuestions
from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.events import Answered
from raycal.people.log import read_events
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

SIZE = 84
FORM = """() => ({
    tiles: [...document.querySelectorAll(".band")].map((band) => [band.getAttribute("aria-label"), band.outerHTML
        .replace(/data-row="\\d+"/g, "").replace(/blob:[^"]+/g, "").replace(/tabindex="[^"]+"/g, "")]),
    title: document.getElementById("title").textContent,
    subtitle: document.getElementById("subtitle").textContent,
    effect: document.getElementById("effect").textContent,
    evidence: document.getElementById("evidence").textContent,
    sizes: [...document.querySelectorAll(".tile img")].map((image) => [image.naturalWidth, image.naturalHeight]),
})"""


def step() -> StepQuestions:
    """Four clusters; the first one and the last two have probes, of which the images are blue."""
    plain = clusters(4, size=SIZE, iteration=1)
    probes = {0: (Probe(590, 1), Probe(591, 1)), 2: (Probe(592, 1),), 3: (Probe(593, 1), Probe(594, 1))}
    return replace(plain, first=tuple(replace(one, probes=probes.get(at, ())) for at, one in enumerate(plain.first)))


@contextmanager
def labeling(context: Any, folder: Folder) -> Iterator[Annotator]:
    """A person who labels these clusters."""
    pixels = np.random.default_rng(0).integers(120, 180, (NUM_IMAGES, 40, 40, 3)).astype(np.uint8)
    pixels[:, 10:30, 10:30] = (200, 120, 40)
    pixels[TRAIN_ROWS[590:595], 10:30, 10:30] = (30, 60, 220)
    images = replace(dataset(), images=pixels)
    tokens = Tokens(folder.folder("people"))
    with (
        small_project(folder) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        project.open_step(step(), 1, OPEN)
        person = Annotator(context, f"http://127.0.0.1:{server.port}/#t={tokens.invite('Ana')}")
        shown(person, "1.0.0")
        yield person
        assert person.errors == []


def shown(person: Annotator, question: str) -> None:
    person.page.wait_for_function("(id) => document.body.dataset.ready === id", arg=question, timeout=10_000)


def press(person: Annotator, key: str) -> None:
    person.page.wait_for_timeout(270)  # The page ignores an answer that follows another one faster.
    person.page.keyboard.press(key)


def notice(person: Annotator, name: str = "check") -> str:
    person.page.wait_for_selector(f'[data-notice="{name}"]')
    return str(person.page.inner_text(f'[data-notice="{name}"] span:last-of-type'))


def test_question_with_hidden_checks_looks_like_any_other(context: Any, tmp_path: Path) -> None:
    with labeling(context, Folder.at(str(tmp_path))) as person:
        forms = []
        for question in ("1.0.0", "1.0.1"):
            shown(person, question)
            before = person.page.evaluate(FORM)
            for looks in (1, 2):
                person.page.wait_for_timeout(270)
                person.page.keyboard.press("Space")
                number = 36 + 24 * looks
                person.page.wait_for_function("(n) => document.querySelectorAll('.tile').length === n", arg=number)
            forms.append((before, person.page.evaluate(FORM)))
            press(person, "x")
        assert forms[0] == forms[1]
        first, last = forms[0]
        assert first["subtitle"] == "84 images, 36 shown"
        assert first["evidence"].startswith("If none of the random ones is odd, at least 87 % belong together")
        assert last["subtitle"] == "84 images, 84 shown"
        assert last["evidence"].startswith("If none of the random ones is odd, at least ")
        person.all_sent()
        assert person.page.locator('[data-notice="check"]').count() == 0  # A refused cluster tells nothing.


def test_page_says_after_the_answer_which_check_was_found(context: Any, tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    with labeling(context, folder) as person:
        hidden, missed = (int(TRAIN_ROWS[one]) for one in (590, 591))
        person.page.click(f'.tile[data-row="{hidden}"]')
        assert "the other 83" in person.page.inner_text("#effect")
        press(person, "1")
        assert notice(person) == "2 hidden checks: 1 found, 1 missed"
        assert person.page.inner_text("#receipt") == "84 images as wren"
        for result in ("found", "missed"):
            picture = f'.hidden-check.{result}[aria-label="1 image {result}"] img'
            assert person.page.locator(picture).evaluate("(one) => one.naturalWidth") > 0
        person.page.wait_for_timeout(3100)
        shown(person, "1.0.1")
        press(person, "1")  # This cluster has no checks.
        shown(person, "1.0.2")
        assert person.page.locator('[data-notice="check"]').count() == 0
        press(person, "1")
        assert notice(person) == "1 hidden check: missed"
        shown(person, "1.0.3")
        press(person, "1")
        assert notice(person, "advice").startswith("You have missed 3 hidden checks so far")
        person.page.wait_for_selector('[data-notice="check"] span:text-is("2 hidden checks: missed")')
        person.page.click('[data-notice="advice"] button')
        person.page.click('[data-notice="check"] button')
        assert person.page.locator(".notice").count() == 0
        person.all_sent()
    first = next(one for one in read_events(folder) if isinstance(one, Answered))
    assert (first.marked, first.probes_found, first.shown) == ((), (590,), 36)
    assert missed not in TRAIN_ROWS[list(first.marked)]
