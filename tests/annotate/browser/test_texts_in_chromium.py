"""Tests the page with texts instead of images: what is shown of a text, and that it is never read as markup."""

import time
from typing import Any

import pytest
from conftest import Tab
from page_server import PageServer, Project, cluster, sample

MARKUP = "<img src=x onerror=\"document.title = 'injected'\"> first line\nsecond\tline &amp; <b>more</b>"
LONG = "long " * 6_000
MIXED = "שלום\nhello"


@pytest.fixture
def project() -> Project:
    texts = [MARKUP, LONG, MIXED, *(f"text {row} " + "word " * 100 for row in range(97))]
    questions = [sample("h.0", 0, "holdout"), sample("3.0.0", 1), cluster("3.0.1", list(range(40, 100)))]
    questions += [sample("3.0.2", 2), cluster("3.0.3", [0, 1, 2])]
    return Project([], questions, classes=["sport", "space"], texts=texts, name="news")


def test_texts_are_read_marked_and_labeled(context: Any, project: Project) -> None:
    with PageServer(project) as server:
        tab = Tab(context, server)
        page = tab.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.partition(server.uri)[2]))

        assert page.text_content(".reading .text") == MARKUP
        assert page.evaluate("getComputedStyle(document.querySelector('.text')).whiteSpace") == "pre-wrap"
        assert page.title() == "news · raycal"
        assert tab.text("#subtitle") == "The model never learns from these texts."
        assert tab.text("#count") == "first texts 0/20"
        tab.press("1")
        page.wait_for_function("() => document.getElementById('receipt').textContent === '1 text as sport'")
        assert page.text_content("#previous .text") == MARKUP

        tab.ready()
        assert page.text_content(".reading .cut") == "The first 20,000 of 30,000 characters are shown."
        assert len(str(page.text_content(".reading .text"))) > 20_000
        before = page.evaluate("document.querySelector('.reading').scrollTop")
        page.keyboard.press("Space")
        page.wait_for_function(f"() => document.querySelector('.reading').scrollTop > {before + 200}")
        tab.press("2")

        tab.ready()
        tiles = page.locator(".tile")
        assert tiles.count() == 36
        assert tab.text("#subtitle") == "60 texts, 36 shown"
        assert page.get_attribute(".band.random", "aria-label") == "random: 24 texts"
        (first,) = tiles.first.all_text_contents()
        assert first.startswith("text 37 word word")
        assert 280 < len(first) <= 300
        assert first.endswith("…")
        tiles.first.click()
        assert tiles.first.get_attribute("aria-pressed") == "true"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog.zoom .text")
        assert str(page.text_content("dialog.zoom .text")) == "text 38 " + "word " * 100
        assert page.locator("dialog.zoom button:visible").count() == 4  # without "what the model sees"
        page.keyboard.press("o")
        page.keyboard.press("Escape")
        assert page.evaluate("document.querySelectorAll('.tile[aria-pressed=true]').length") == 2
        page.keyboard.press("Space")
        page.wait_for_function("() => document.querySelectorAll('.tile').length === 60")
        # The texts of the first four questions were loaded with the page, so only the enlarged one was loaded since.
        assert [url for url in asked if url.startswith("/text/")] == ["/text/41?v=first"]
        tab.press("2")
        page.wait_for_function("() => document.getElementById('receipt').textContent === '58 texts as space'")

        tab.ready()
        assert page.evaluate("getComputedStyle(document.querySelector('.reading .text')).unicodeBidi") == "plaintext"
        assert page.get_attribute(".reading .text", "dir") == "auto"
        tab.press("u")
        tab.ready()
        assert tiles.all_text_contents()[0] == " ".join(MARKUP.split())
        time.sleep(0.3)
        tab.press("x")
        tab.sent()
        assert page.locator(".panel").inner_text().count("image") == 0
        assert page.title() == "news · raycal"
        assert tab.errors == []
    answers = [(one["question"], one["answer"], one["label"], one["marked"]) for one in project.answers()]
    assert answers == [
        ("h.0", "label", 0, []),
        ("3.0.0", "label", 1, []),
        ("3.0.1", "label", 1, [40, 41]),
        ("3.0.2", "unsure", None, []),
        ("3.0.3", "refused", None, []),
    ]


def test_small_screen_shows_cards_below_each_other_and_fits(context: Any, project: Project) -> None:
    project.questions, project.texts = project.questions[2:3], [f"short {row}" for row in range(100)]
    with PageServer(project) as server:
        tab = Tab(context, server)
        tab.page.set_viewport_size({"width": 390, "height": 844})

        boxes = [tab.page.locator(".tile").nth(number).bounding_box() for number in (0, 1)]

        assert boxes[0]["x"] == boxes[1]["x"]
        assert boxes[0]["y"] < boxes[1]["y"]
        assert boxes[0]["width"] > 300
        assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
        tab.page.keyboard.press("ArrowDown")  # focuses the first card
        tab.page.keyboard.press("ArrowDown")
        assert tab.page.evaluate("document.activeElement.textContent") == "short 41"
