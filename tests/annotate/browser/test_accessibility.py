"""Looks for barriers on the pages with axe, the checker of the accessibility rules that browsers' tools use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import Tab
from page_server import PageServer, Project


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1280, 390], ids=["wide", "narrow"])
def context_in_scheme(browser: Any, scheme: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    size = {"width": request.param, "height": 800}
    context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    yield context
    context.close()


def barriers(tab: Tab) -> list[str]:
    """The serious and critical findings, each with the elements that it is about."""
    found = Axe().run(tab.page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_page_of_a_single_image_and_its_dialogs(context_in_scheme: Any, singles: Project) -> None:
    with PageServer(singles) as server:
        tab = Tab(context_in_scheme, server)
        assert barriers(tab) == []
        tab.page.keyboard.press("?")
        tab.page.wait_for_selector("dialog[open]")
        assert barriers(tab) == []
        tab.page.keyboard.press("Escape")
        tab.page.keyboard.press("/")
        tab.page.wait_for_selector("dialog[open]")
        assert barriers(tab) == []


def test_page_of_a_cluster_with_a_marked_image(context_in_scheme: Any, clusters: Project) -> None:
    with PageServer(clusters) as server:
        tab = Tab(context_in_scheme, server)
        tab.page.locator("[aria-pressed=false]").first.click()
        tab.page.wait_for_selector("[aria-pressed=true]")
        assert barriers(tab) == []


def test_page_that_waits_for_a_model(context_in_scheme: Any, photos: list[Path]) -> None:
    with PageServer(Project(photos, [], phase="training")) as server:
        tab = Tab(context_in_scheme, server, wait=False)
        tab.page.wait_for_selector(".panel")
        assert barriers(tab) == []


def test_barrier_is_found(context: Any, singles: Project) -> None:
    with PageServer(singles) as server:
        tab = Tab(context, server)
        tab.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        assert [line.partition(":")[0] for line in barriers(tab)] == ["button-name"]
