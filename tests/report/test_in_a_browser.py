"""Tests the report in a real browser: at the sizes of a phone and a desktop, in light and in dark mode."""

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chromium import needs_chromium
from made_up import runs, seeds, trial

from raycal.report.write import write_report
from raycal.storage.folder import Folder

NAMES = ("random", "uncertain-only", "cluster-only", "uncertain+cluster", "cluster+uncertain")

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs with 'quotes'") / "made-up" / "report"
    chance = {"values": {"chance_accuracy": [0.1, 0.1, 0.1]}}
    made = [
        one
        for at, name in enumerate(NAMES)
        for one in seeds(
            name,
            *([(10, 0.4 + shift), (20, 0.6 + at / 30 + shift), (30, 0.7 + at / 20 + shift)] for shift in (0, 0.01)),
            **chance,
        )
    ]
    made += [trial("supervised", [(300, 0.93)]), trial("random", seed=2, status="unfinished")]
    write_report(runs(*made), Folder.at(str(folder)))
    return folder / "report.html"


def opened(browser: Any, report: Path, width: int, scheme: str) -> tuple[Any, list[str], list[str]]:
    """The loaded page, its errors and warnings, and the URLs that it loaded."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"]
    )
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    return page, complaints, requests


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_page_fits_the_screen_and_needs_nothing(browser: Any, report: Path, width: int, scheme: str) -> None:
    page, complaints, requests = opened(browser, report, width, scheme)
    page.click(".open-all")

    assert page.evaluate("[...document.querySelectorAll('#evidence details')].every((part) => part.open)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    shown = page.evaluate(
        """[...document.querySelectorAll('#accuracy .panel')]
          .filter((panel) => panel.offsetWidth).map((panel) => panel.className)"""
    )
    assert shown == ["panel narrow-panel" if width == 390 else "panel wide-panel"]


def test_names_of_the_lines_do_not_overlap(browser: Any, report: Path) -> None:
    for width in (390, 1280):
        page, _, _ = opened(browser, report, width, "light")
        boxes = page.evaluate(
            """(names) => [...document.querySelectorAll("#accuracy .panel text")]
              .filter((text) => names.some((name) => text.textContent.startsWith(name)) && text.getClientRects().length)
              .map((text) => text.getBoundingClientRect()).map(({top, bottom, right}) => [top, bottom, right])""",
            [*NAMES, "full supervision", "guessing"],
        )
        boxes.sort()
        assert len(boxes) == len(NAMES) + 2
        centers = [(top + bottom) / 2 for top, bottom, _ in boxes]
        heights = [bottom - top for top, bottom, _ in boxes]
        gaps = [after - before for before, after in pairwise(centers)]
        assert min(gaps) > 0.75 * max(heights)  # A box includes line spacing, which may overlap.
        assert max(right for _, _, right in boxes) <= width


def test_link_of_the_contents_opens_its_part(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report, 1280, "light")
    assert not page.evaluate("document.getElementById('summary').open")
    page.click(".contents a[href='#summary']")
    page.wait_for_function("() => document.getElementById('summary').open")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('#evidence details')].every((part) => part.open)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('#evidence details[open]').length") == 1


def test_first_two_columns_stay_while_a_table_scrolls(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report, 390, "light")
    page.click(".contents a[href='#summary']")
    page.wait_for_function("() => document.querySelector('#summary .scroll').classList.contains('wide')")
    lefts = """() => {
      const box = document.querySelector("#summary .scroll"), row = box.querySelector("tbody tr");
      return [...row.cells].slice(0, 3).map((cell) => cell.getBoundingClientRect().left);
    }"""
    before = page.evaluate(lefts)
    page.evaluate("document.querySelector('#summary .scroll').scrollLeft = 150")
    after = page.evaluate(lefts)

    assert after[:2] == pytest.approx(before[:2], abs=1)
    assert after[2] == pytest.approx(before[2] - 150, abs=1)


def test_copied_command_names_the_folder_of_the_sweep(browser: Any, report: Path) -> None:
    page, complaints, _ = opened(browser, report, 1280, "light")
    folder = report.parent.parent
    expected = {
        "raycal.track": [str(folder)],
        "--resume": ["made-up.yaml", "--storage", str(folder.parent), "--resume"],
    }
    for words, arguments in expected.items():
        page.click(f"#next .command:has-text('{words}') .copy")
        page.wait_for_selector(f"#next .command:has-text('{words}') .copy:has-text('Copied')")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert shlex.split(copied)[3:] == arguments
    assert complaints == []
