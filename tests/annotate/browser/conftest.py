"""Fixtures: Chromium, and a project whose page the tests open in Chromium."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "people"))

from chromium import needs_chromium
from page_server import PageServer, Project, cluster, sample

SHOWN = "() => document.body.dataset.ready && document.body.dataset.ready === document.body.dataset.question"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, because each of them starts a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(120))
            item.add_marker(needs_chromium)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A folder of 120 small, different pictures of noise in landscape format."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    paths = []
    for i in range(120):
        pixels = draw.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        paths.append(folder / f"{i:03}.png")
        Image.fromarray(pixels).resize((160, 120)).save(paths[-1])
    return paths


@pytest.fixture
def singles(photos: list[Path]) -> Project:
    """Thirty single images of the round."""
    return Project(photos, [sample(f"3.0.{i}", i) for i in range(30)], classes=["sparrow", "robin", "wren"])


@pytest.fixture
def clusters(photos: list[Path]) -> Project:
    """Thirty clusters of 60 images."""
    rows = [[(7 * i + j) % 120 for j in range(60)] for i in range(30)]
    questions = [cluster(f"3.0.{i}", one) for i, one in enumerate(rows)]
    return Project(photos, questions, classes=["sparrow", "robin", "wren"])


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def contexts(browser: Any) -> Iterator[Callable[[], Any]]:
    """Makes browsers of different people."""
    opened = []

    def make() -> Any:
        opened.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        return opened[-1]

    yield make
    for context in opened:
        context.close()


class Tab:
    """A tab with the page of a project. `errors` collects what goes wrong in its scripts."""

    def __init__(self, context: Any, server: PageServer, wait: bool = True) -> None:
        self.page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(f"{server.uri}/#t=right")
        if wait:
            self.ready()

    def _listen(self, message: Any) -> None:
        # Lost connections and refusals are part of the tests; a violated content policy is always a fault.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def ready(self) -> str:
        """Wait until a question can be answered, and return its id."""
        self.page.wait_for_function(SHOWN, timeout=10_000)
        return str(self.page.evaluate("document.body.dataset.ready"))

    def press(self, key: str) -> None:
        """Press a key once a question is shown, after a pause that is too long for a double press."""
        self.ready()
        time.sleep(0.26)
        self.page.keyboard.press(key)

    def sent(self) -> None:
        """Wait until every answer is stored."""
        self.page.wait_for_function(
            "() => document.getElementById('unsent').textContent === '0 unsent'", timeout=20_000
        )

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))
