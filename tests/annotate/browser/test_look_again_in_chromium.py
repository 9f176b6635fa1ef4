"""Tests in Chromium, with the real server, of the page on which a person looks again at an image with two labels."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from real import Annotator
from small_project import NUM_IMAGES, answer, dataset, samples
from small_project import project as small_project

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.checks import CheckRates
from raycal.people.events import Answered, Purpose
from raycal.people.log import read_events
from raycal.people.memory import OPEN, TRAINING
from raycal.storage.folder import Folder

CLASSES = ("wren", "robin", "tit", "crow", "jay")
MANY = (*CLASSES, "owl", "duck", "goose", "swan", "heron", "stork", "crane")


@contextmanager
def looking_again(
    context: Any, folder: Folder, labels: Sequence[tuple[int, int]], classes: Sequence[str] = CLASSES
) -> Iterator[Annotator]:
    """The page of Cid while a model trains, after Ana and Ben have labeled some images.

    Args:
        labels: The labels that Ana and Ben gave to each image.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 40, 40, 3)).astype(np.uint8)
    images = replace(dataset(), images=pixels)
    tokens = Tokens(folder.folder("people"))
    step = samples(len(labels) + 1)
    rates = CheckRates(look_again=0.05, share=0.1)
    with (
        small_project(folder, class_names=classes, checks=rates) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        project.open_step(step, 0, OPEN)
        for number, (first, second) in enumerate(labels):
            project.submit("ana", "a1", [answer(number, step.first[number].id, first)])
            project.submit("ben", "b1", [answer(100 + number, step.first[number].id, second)])
        project.submit("ana", "a1", [answer(99, step.first[-1].id)])  # closes the step
        project.open_step(None, 0, TRAINING)
        yield Annotator(context, f"http://127.0.0.1:{server.port}/#t={tokens.invite('Cid')}")


def chips(person: Annotator) -> list[tuple[str, str]]:
    """The key and the class of each button, in their order."""
    found = person.page.eval_on_selector_all(
        ".chip", "all => all.map((one) => [one.querySelector('kbd').textContent, one.querySelector('bdi').textContent])"
    )
    return [tuple(one) for one in found]


def answers(folder: Folder) -> list[tuple[int | None, Purpose]]:
    """The labels that Cid gave."""
    events = [event for event in read_events(folder) if isinstance(event, Answered)]
    return [(event.label, event.purpose) for event in events if event.who not in ("ana", "ben")]


def test_labels_in_question_come_first_and_one_key_answers(context: Any, tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    with looking_again(context, folder, [(0, 0), (1, 3), (2, 4)]) as person:
        for pair, others in (({"robin", "crow"}, ["wren", "tit", "jay"]), ({"tit", "jay"}, ["wren", "robin", "crow"])):
            question = person.next_question()
            assert person.page.inner_text("#title") == "Look again: what is this?"
            assert person.page.inner_text("#subtitle").startswith("Something speaks against the label of this image.")
            names = [name for _, name in chips(person)]
            assert ({*names[:2]}, names[2:]) == (pair, others)
            assert all(key == str(CLASSES.index(name) + 1) for key, name in chips(person))  # no key has moved
            assert [CLASSES[label] for label in question["choices"]] == names[:2]
            told = json.dumps([question, person.state()]) + str(person.page.content())
            assert not any(who in told for who in ('"ana"', '"ben"', ">ana<", ">ben<"))
            person.press(chips(person)[0][0])
            person.page.wait_for_function("(id) => document.body.dataset.question !== id", arg=question["id"])
        person.all_sent()
        person.page.wait_for_function("() => document.body.dataset.kind === 'none'")
        assert [one for _, one in answers(folder)] == [Purpose.LOOK_AGAIN] * 2
        first, second = (label for label, _ in answers(folder))
        assert (first in (1, 3), second in (2, 4)) == (True, True)

        person.press("z")  # The last look is taken back, and is asked again at once.
        person.next_question()
        assert {name for _, name in chips(person)[:2]} == {"tit", "jay"}
        person.press("1")
        person.all_sent()
        assert [label for label, _ in answers(folder)][-1] == 0
        assert person.errors == []


def test_class_without_a_key_gets_one(context: Any, tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path))
    with looking_again(context, folder, [(11, 1)], MANY) as person:
        person.next_question()
        shown = chips(person)
        assert {*shown[:2]} == {("0", "crane"), ("2", "robin")}
        # The tenth class lends its key, and all others keep theirs.
        assert shown[2:] == [(str(number + 1), MANY[number]) for number in range(9) if number != 1]
        person.press("0")
        person.all_sent()
        assert answers(folder) == [(11, Purpose.LOOK_AGAIN)]
        assert person.errors == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_barriers(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce", has_touch=width < 720
    )
    with looking_again(context, Folder.at(str(tmp_path)), [(0, 3)], MANY) as person:
        person.next_question()
        shown = person.page.locator(".chip.in-question")
        assert shown.count() == 2
        for place in range(2):
            box = shown.nth(place).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 40
        found = Axe().run(person.page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    context.close()
