"""Labels on a touch screen in Chromium, without a keyboard."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Tab
from page_server import PageServer, Project, cluster, sample

# A page ignores a second answer that comes faster than this, in seconds, because it may be a double press.
PAUSE = 0.26


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    yield context
    context.close()


def swipe(tab: Tab, *path: tuple[int, int]) -> None:
    """Move a finger over the screen from point to point."""
    tab.ready()
    time.sleep(PAUSE)
    session = tab.page.context.new_cdp_session(tab.page)
    kinds = ["touchStart", *["touchMove"] * (len(path) - 1)]
    for kind, (x, y) in zip(kinds, path, strict=True):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_forty_answers_by_tap(phone: Any, photos: list[Path]) -> None:
    singles = [sample(f"3.0.{number}", number) for number in range(20)]
    clusters = [cluster(f"3.1.{number}", [(7 * number + row) % 120 for row in range(30)]) for number in range(20)]
    project = Project(photos, [*singles, *clusters], classes=["sparrow", "robin", "wren"])
    with PageServer(project) as server:
        tab = Tab(phone, server)
        for number in range(40):
            tab.ready()
            if number >= 20:
                tab.page.locator(".tile").nth(number % 3).tap()
            time.sleep(PAUSE)
            tab.page.locator(".chip").nth(number % 3).tap()
        tab.sent()
        assert tab.errors == []

    assert [event["label"] for event in project.log] == [number % 3 for number in range(40)]
    assert [event["marked"] for event in project.log[:20]] == [[]] * 20
    assert [len(event["marked"]) for event in project.log[20:]] == [1] * 20


def test_swipe_to_the_left_says_that_the_person_cannot_tell(phone: Any, singles: Project) -> None:
    with PageServer(singles) as server:
        tab = Tab(phone, server)
        swipe(tab, (300, 300), (200, 305), (150, 310))
        tab.page.wait_for_function("() => document.body.dataset.ready === '3.0.1'")
        swipe(tab, (300, 300), (290, 500))  # scrolling
        swipe(tab, (150, 300), (300, 305))  # to the right
        swipe(tab, (300, 300), (250, 300))  # too short
        tab.press("1")
        tab.sent()
        assert tab.errors == []

    assert [(event["question"], event["answer"]) for event in singles.log] == [("3.0.0", "unsure"), ("3.0.1", "label")]
