"""Tests the page of `raycal.report --serve` in a real browser: it updates itself while the sweep runs, and parts that
were opened stay open."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from chromium import needs_chromium
from live_server import served
from run_folders import CONFIGS, commit, planned

from raycal.storage.run_writer import RunWriter
from raycal.storage.sweep_dir import SweepDir

pytestmark = [pytest.mark.slow, needs_chromium]
# Two JavaScript expressions: the total number of points in the first figure, and the rows of the table of trials as
# text.
POINTS = "() => JSON.parse(document.querySelector('#accuracy .panel')?.dataset.points ?? '[]').length"
ROWS = """() => [...document.querySelectorAll('#progress tbody tr')]
    .map((row) => row.innerText.replaceAll(/\\s+/g, ' ').trim())"""
RANDOM = CONFIGS[0].experiment_id


@pytest.fixture
def sweep_dir(tmp_path: Path) -> SweepDir:
    return planned(tmp_path / "birds")


def opened(browser: Any, port: int, width: int = 1280) -> tuple[Any, list[str], list[str]]:
    """The loaded page, its errors and warnings, and the URLs to which it navigated."""
    page, complaints, visited = browser.new_page(viewport={"width": width, "height": 800}), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("framenavigated", lambda frame: visited.append(frame.url))
    page.goto(f"http://127.0.0.1:{port}/")
    return page, complaints, visited


def test_new_iterations_appear_and_what_was_opened_stays(browser: Any, sweep_dir: SweepDir) -> None:
    folder = Path(sweep_dir.folder.path)
    with served(folder) as port:
        page, complaints, visited = opened(browser, port)
        assert page.evaluate(ROWS)[0].startswith("random s3 planned 0/15 -")
        assert page.evaluate(POINTS) == 0

        commit(sweep_dir, 0)
        page.wait_for_function(f"() => ({POINTS})() === 1")
        assert page.evaluate(ROWS)[0] == "random s3 running 1/15 0.250 24 s"

        page.click(".contents a[href='#trials']")
        page.wait_for_function("() => document.getElementById('trials').open")
        page.click("#trials th:has-text('seed') button")
        page.click(".scenarios button:has-text('cluster-only')")
        page.evaluate("scrollBy({ top: 40, behavior: 'instant' })")
        page.evaluate("document.querySelector('#trials th:nth-child(3) button').focus({ preventScroll: true })")
        where = "() => document.getElementById('trials').getBoundingClientRect().top"
        before = page.evaluate(where)
        assert page.evaluate("scrollY") > 100

        commit(sweep_dir, 1)
        commit(sweep_dir, 0, CONFIGS[1])
        page.wait_for_function(f"() => ({POINTS})() === 3")
        assert page.evaluate(ROWS)[:2] == [
            "random s3 running 2/15 0.500 23 s",
            "cluster-only s3 running 1/15 0.250 24 s",
        ]
        assert page.evaluate("[...document.querySelectorAll('#evidence details[open]')].map((each) => each.id)") == [
            "trials"
        ]
        assert page.evaluate(where) == pytest.approx(before, abs=1)
        assert page.evaluate("document.querySelector('#trials th[aria-sort]').innerText").startswith("seed")
        assert page.evaluate("document.activeElement.closest('th').innerText").startswith("state")
        hidden = "[...document.querySelectorAll('.scenarios [aria-pressed=false]')].map((each) => each.textContent)"
        assert page.evaluate(hidden) == ["cluster-only"]
        assert page.evaluate("document.querySelectorAll('#accuracy .wide-panel g.off').length") > 0

        # The links of the contents still work, and so does closing a part.
        page.click("#trials summary")
        page.click(".contents a[href='#summary']")
        moved = "document.getElementById('summary').open && !document.getElementById('trials').open"
        page.wait_for_function(f"() => {moved}")

        RunWriter.of(sweep_dir, RANDOM).finish("iterations")
        page.wait_for_selector("#progress .dot.finished")
        assert not page.evaluate("document.getElementById('trials').open")
        assert page.evaluate("document.getElementById('summary').open")
        assert {url.partition("#")[0] for url in visited} == {f"http://127.0.0.1:{port}/"}
    assert complaints == []


def test_page_is_asked_for_only_when_the_sweep_has_changed(browser: Any, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    with served(Path(sweep_dir.folder.path)) as port:
        page, _, _ = opened(browser, port)
        asked: list[str] = []
        page.on("requestfinished", lambda request: asked.append(request.url.rpartition("/")[2]))
        page.evaluate("document.querySelector('#accuracy').dataset.mark = 'same element'")
        for _ in range(2):
            page.wait_for_event("requestfinished")
        page.wait_for_timeout(200)
        assert set(asked) == {"version"}
        assert page.evaluate("document.querySelector('#accuracy').dataset.mark") == "same element"


def test_selected_text_is_not_taken_away(browser: Any, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    with served(Path(sweep_dir.folder.path)) as port:
        page, _, _ = opened(browser, port)
        page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
        commit(sweep_dir, 1)
        for _ in range(2):
            page.wait_for_event("requestfinished")
        page.wait_for_timeout(200)
        assert page.evaluate("getSelection().toString()") == "birds"
        assert page.evaluate(POINTS) == 1
        page.evaluate("getSelection().removeAllRanges()")
        page.wait_for_function(f"() => ({POINTS})() === 2")


def test_page_outlives_its_server_and_goes_on_with_the_next(browser: Any, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    folder = Path(sweep_dir.folder.path)
    with served(folder) as port:
        page, _, _ = opened(browser, port, width=390)
        page.wait_for_function(f"() => ({POINTS})() === 1")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator("#progress .scroll")
        assert box.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 1
    page.wait_for_selector("#connection:has-text('does not answer')")
    assert page.evaluate(POINTS) == 1

    commit(sweep_dir, 1)
    with served(folder, port=port):
        page.wait_for_function(f"() => ({POINTS})() === 2")
        assert not page.locator("#connection").is_visible()


def test_folder_that_vanishes_is_told_and_the_figures_stay(browser: Any, sweep_dir: SweepDir) -> None:
    commit(sweep_dir, 0)
    folder = Path(sweep_dir.folder.path)
    with served(folder) as port:
        page, complaints, _ = opened(browser, port)
        shutil.rmtree(folder)
        page.wait_for_selector(".state:has-text('The sweep cannot be read.')")
        assert page.evaluate(POINTS) == 1
    assert [line for line in complaints if "ERR_CONNECTION_REFUSED" not in line] == []
