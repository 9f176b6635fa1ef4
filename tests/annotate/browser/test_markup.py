"""Tests that names that contain markup stay text everywhere: on the page, in the report and in the exported data
set."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from real import Annotator, Command, label_until, run_command

MARKUP = "<img src=x onerror=alert(1)>"
NAMES = (MARKUP, "<script>alert(2)</script>")
FILE = "<img src=x onerror=alert(3)>.png"
SETTINGS = (
    *("--set", "model={name: resnet18, weights: none}", "--set", "dataset.holdout=20"),
    *("--set", "training={stop: steps, steps: 2, batch_size: 8, learning_rate: 0.005, image_size: 32}"),
    *("--set", "iterations=1", "--set", "interactions_per_iteration=6"),
)


@pytest.fixture
def truth(tmp_path: Path) -> list[str]:
    """The class of each image in the folder `dark`, by its row: half of them are dark, and half of them are light."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "dark"
    folder.mkdir()
    files = sorted([FILE, *(f"{number:02}.png" for number in range(47))])
    for row, file in enumerate(files):
        pixels = rng.integers(0, 60, (20, 20, 3)) + 180 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / file)
    return [NAMES[row % 2] for row in range(len(files))]


@pytest.mark.long
@pytest.mark.timeout(500)
def test_markup_in_names_stays_text(contexts: Callable[[], Any], truth: list[str], tmp_path: Path) -> None:
    known: list[str] = []

    def answer(person: Annotator, question: dict[str, Any]) -> None:
        rows = person.rows(question)
        name, _ = Counter(truth[row] for row in rows).most_common(1)[0]
        person.mark(row for row in rows if truth[row] != name)
        if name in known:
            person.label(known.index(name))
        else:
            person.name_class(name)
            known.append(name)

    arguments = ("dark", *SETTINGS)
    with Command(tmp_path, *arguments, "--port", "0") as command:
        person = Annotator(contexts(), command.link)
        label_until([person], answer, lambda state: False, most=4)
        person.next_question()
        assert person.page.locator(".chip bdi").all_inner_texts() == known
        person.page.keyboard.press("/")
        assert sorted(person.page.locator(".palette li bdi").all_inner_texts()) == sorted(NAMES)
        person.page.keyboard.press("Escape")
        label_until([person], answer, lambda state: state["phase"] == "finished")
        person.all_sent()
        person.page.click("#reached")
        assert person.page.locator("dialog[data-name=details]").is_visible()
        assert number_of_injected(person.page) == 0
        assert person.errors == []
        assert command.interrupt() == 130

    exported = run_command(tmp_path, *arguments, "--export", "labeled")
    assert exported.returncode == 0, exported.stderr
    check_export(tmp_path / "labeled")
    reported = run_command(tmp_path, "runs/dark", module="raycal.report")
    assert reported.returncode == 0, reported.stderr
    pages = sorted((tmp_path / "runs" / "dark").rglob("*.html"))
    assert pages
    for page in pages:
        check_page(contexts(), page)


def number_of_injected(page: Any) -> int:
    """The number of elements on the page that the browser created because it parsed a name as markup."""
    found: int = page.evaluate("document.querySelectorAll('img[src=x], [onerror]').length")
    return found + sum("alert(2)" in text for text in page.locator("script").all_text_contents())


def check_export(folder: Path) -> None:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} == set(NAMES)
    assert FILE in {row["source"] for row in rows}
    assert all((folder / row["file"]).is_file() for row in rows)
    assert {one["name"] for one in json.loads((folder / "classes.json").read_text(encoding="utf-8"))} == set(NAMES)
    config = ElementTree.parse(folder / "label_studio_config.xml")
    assert set(NAMES) <= {one.get("value") for one in config.iter()}
    card = (folder / "README.md").read_text(encoding="utf-8").replace(r"\<", "")
    assert "<img" not in card
    assert "<script" not in card


def check_page(context: Any, file: Path) -> None:
    dialogs = []
    page = context.new_page()
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    assert number_of_injected(page) == 0
    assert dialogs == []
