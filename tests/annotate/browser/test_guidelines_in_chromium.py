"""Opens the guidelines in Chromium."""

from typing import Any

import pytest
from conftest import Tab
from page_server import PageServer, Project


def test_guidelines_show_words_and_examples_and_no_markup(context: Any, singles: Project) -> None:
    singles.guidelines = {
        "text": "Look at the beak first.\n\nThen at the <b>tail</b>.",
        "classes": [
            {"name": "sparrow", "text": "", "examples": [], "num_checked": 0},
            {"name": "robin", "text": "A red breast.", "examples": [3, 5], "num_checked": 1},
        ],
    }
    with PageServer(singles) as server:
        tab = Tab(context, server)
        tab.press("h")
        tab.page.wait_for_selector("dialog.guidelines")
        paragraphs = tab.page.locator("dialog.guidelines > p").all_inner_texts()
        assert paragraphs == ["Look at the beak first.", "Then at the <b>tail</b>."]
        assert tab.page.locator("dialog.guidelines h3").all_inner_texts() == ["sparrow", "robin"]
        assert tab.page.locator("dialog.guidelines .examples img").count() == 2
        assert tab.page.locator("dialog.guidelines .source").all_inner_texts() == [
            "There is no example yet. Images that people label alone in a round become examples.",
            "The first was checked: two people agree, or somebody looked again. The other is a label that one person "
            "gave and nobody has checked.",
        ]
        assert tab.page.get_by_role("img", name="2 images with this label").count() == 1
        tab.page.keyboard.press("h")
        tab.page.wait_for_selector("dialog.guidelines", state="detached")
        tab.press("2")
        tab.sent()
        assert tab.errors == []
    assert [event["label"] for event in singles.log] == [1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_class_without_examples_fits_a_narrow_screen(browser: Any, singles: Project, scheme: str) -> None:
    singles.guidelines = {
        "text": "",
        "classes": [{"name": "owl", "text": "Large eyes.", "examples": [], "num_checked": 0}],
    }
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    with PageServer(singles) as server:
        tab = Tab(context, server)
        tab.press("h")
        tab.page.wait_for_selector("dialog.guidelines")
        assert tab.page.locator("dialog.guidelines section p").all_inner_texts() == [
            "Large eyes.",
            "There is no example yet. Images that people label alone in a round become examples.",
        ]
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.errors == []
    context.close()


def test_guidelines_without_words_and_without_a_connection(context: Any, singles: Project) -> None:
    with PageServer(singles) as server:
        tab = Tab(context, server)
        tab.page.get_by_role("button", name="guidelines").click()
        assert "has written no guidelines" in tab.text("dialog.guidelines")
        tab.page.get_by_role("button", name="Close").click()
        context.set_offline(True)
        tab.press("h")
        tab.page.wait_for_function(
            "() => document.getElementById('receipt').textContent.includes('guidelines cannot be loaded')"
        )
