"""Opens the address that a sweep prints in Chromium: the page must show the curves without a click."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from chromium import needs_chromium
from tracking_server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    needs_chromium,
    pytest.mark.xdist_group("view"),
]
SWEEP = """
name: small
experiment:
  dataset: {name: digits, train_size: 200}
  model: {name: resnet18, weights: none}
  iterations: 2
  interactions_per_iteration: 20
  training: {stop: steps, steps: 2, batch_size: 20, image_size: 32}
grid:
  scenario: [cluster-only, uncertain+cluster, random, supervised]
  expert.purity_threshold: [0.5, 0.9]
  seed: [0, 1]
"""
CONDITIONS = {
    *(f"{name} (purity threshold {value})" for name in ("cluster-only", "uncertain+cluster") for value in (0.5, 0.9)),
    "random",
}
# For each chart, the range of its horizontal axis and the number of points on each line that is drawn. The band between
# the lowest and the highest seed is a filled trace with two edges.
DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
    axis: plot.layout.xaxis.range,
    lines: [...plot.querySelectorAll('.scatterlayer .trace')]
        .filter(trace => trace.querySelectorAll('path.js-line').length === 1)
        .map(trace => trace.querySelectorAll('.points path').length)
        .filter(points => points > 0),
}))"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Server]]:
    """The addresses that the sweep printed, at a server on the sweep's database."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "small.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "raycal.sweep", "small.yaml", "--local", "--storage", "runs"]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    server = Server(folder, folder / "runs" / "mlflow.db")
    server.start()
    yield [server.uri + path for path in re.findall(r"http://127\.0\.0\.1:5000(\S+)", said)], server
    server.stop()


def opened(browser: Any, address: str, scheme: str = "light") -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_function("() => document.querySelectorAll('.scatterlayer .trace .points path').length >= 5")
    return page


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_printed_address_shows_a_line_for_each_condition(
    printed: tuple[list[str], Server], browser: Any, scheme: str
) -> None:
    page = opened(browser, printed[0][0], scheme)
    page.wait_for_function(f"() => ({DRAWN})()[0].lines.length >= {len(CONDITIONS)}")
    accuracy = page.evaluate(DRAWN)[0]
    # Each line has two points, one per iteration, because the seeds are averaged.
    assert accuracy["lines"] == [2] * len(CONDITIONS)
    assert 40 < accuracy["axis"][1] < 45  # Full supervision, with 200 images, does not stretch the axis.
    assert page.get_by_text("Mean accuracy by human interactions").is_visible()
    shown = page.locator("body").inner_text()
    assert [condition for condition in CONDITIONS if condition not in shown] == []


@pytest.mark.long
def test_view_of_a_setting_shows_the_strategies_that_have_it(printed: tuple[list[str], Server], browser: Any) -> None:
    _, address = printed[0]
    assert "setting-purity-threshold" in unquote(address)
    page = opened(browser, address)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot .scatterlayer .points path')")
    dots = page.evaluate("() => document.querySelector('.js-plotly-plot').querySelectorAll('.points path').length")
    assert dots == len(CONDITIONS) - 1
    assert page.get_by_text("At the end, by purity threshold").is_visible()
