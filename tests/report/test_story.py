"""Tests the order of the parts of the page, and which parts are folded, as read from the HTML."""

from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up import level, runs, seeds, trial

from raycal.report.figures.plates import plates
from raycal.report.figures.slices import scenarios
from raycal.report.figures.style import looks
from raycal.report.page import page
from raycal.report.runs import Runs
from raycal.report.tables import tables
from raycal.report.write import write_report
from raycal.storage.folder import Folder

VOID = {"meta", "img", "br", "path", "use", "rect", "circle", "stop"}


class Outline(HTMLParser):
    """Records the place of each element: the ids of the elements around it, its tag and its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.elements: list[tuple[list[str], str, dict[str, str | None]]] = []
        self.words: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append(([name for _, name in self.open if name], tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes.get("id") or attributes.get("class") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(([name for _, name in self.open if name], tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, name in self.open:
            if name:
                self.words[name] = self.words.get(name, "") + data

    def inside(self, name: str, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements with a tag inside an element."""
        return [attributes for around, found, attributes in self.elements if found == tag and name in around]


CLUSTERS = {"values": {"cluster_label_error": [0.1, 0.1], "clusters_shown": [5, 10]}}
RUNS = runs(
    *seeds("random", *level(0.5, 0.51)),
    *seeds("cluster-only", *level(0.78, 0.79), **CLUSTERS),
    *seeds("supervised", [(100, 0.8)], [(100, 0.81)]),
)


def outline(of: Runs, to_trials: str | None = "../") -> Outline:
    return Outline(page(of, plates(of), tables(of), looks(scenarios(of)), to_trials=to_trials))


@cache
def usual() -> Outline:
    """The parts of the page of `RUNS`, which is drawn once for all tests that only read it."""
    return outline(RUNS)


def test_story_comes_before_the_evidence() -> None:
    found = usual()
    ids = [attributes["id"] for _, tag, attributes in found.elements if tag == "section"]

    assert ids == ["accuracy", "time", "next", "evidence"]
    assert [tag for _, tag, _ in found.elements].index("header") < [tag for _, tag, _ in found.elements].index("main")
    assert found.inside("header", "svg") == []
    for part in ("accuracy", "time"):
        assert len(found.inside(part, "svg")) == 2  # There is one figure for a wide screen and one for a narrow screen.
        assert found.inside(part, "details") == []


def test_all_evidence_is_folded_and_listed() -> None:
    found = usual()
    folded = [attributes for around, tag, attributes in found.elements if tag == "details" and "evidence" in around]
    links = [attributes["href"] for attributes in found.inside("contents", "a")]

    assert len(folded) >= 8
    assert all("open" not in attributes for attributes in folded)
    assert links == [f"#{attributes['id']}" for attributes in folded]
    tables_in_it = [around for around, tag, _ in found.elements if tag == "table" and "evidence" in around]
    assert all(any(attributes["id"] in around for attributes in folded) for around in tables_in_it)


def test_lead_figure_names_its_lines() -> None:
    words = usual().words["accuracy"]
    assert all(name in words for name in ("random", "cluster-only", "full supervision 0.805"))


def test_terms_are_explained_before_the_figure_that_uses_them() -> None:
    words = usual().words["accuracy"]
    assert words.index("An interaction is one question") < words.index("interactions (images or clusters shown)")
    assert words.index("Full supervision is a model") < words.index("full supervision 0.805")
    assert "Guessing is" not in words  # These trials did not record the level of guessing.


def test_commands_have_a_button_and_no_markup() -> None:
    found = usual()
    commands = [around for around, tag, _ in found.elements if tag == "code" and "command" in around]
    buttons = [attributes for attributes in found.inside("command", "button") if attributes["class"] == "copy"]

    assert len(commands) == len(buttons) >= 3
    assert "python -m raycal.track runs/made-up" in found.words["command"]
    assert "<" not in found.words["command"]


def test_one_seed_is_said_once() -> None:
    of = runs(*seeds("random", *level(0.5)), *seeds("cluster-only", *level(0.78)), trial("supervised", [(100, 0.8)]))
    words = outline(of).words["evidence"]
    # The words are once in the sentence about seeds, and once in the count of claims that one seed cannot decide.
    assert words.count("one seed") == 2
    assert "There is one seed, so no interval and no test is possible" in words


@pytest.mark.parametrize(("out", "is_beside"), [("made-up/report", True), ("elsewhere/report", False)])
def test_trials_are_linked_where_they_lie_beside_the_report(tmp_path: Path, out: str, is_beside: bool) -> None:
    made = trial("random", [(10, 0.5)])
    folder = Folder.at(str(tmp_path)).folder("made-up").folder(made.experiment_id)
    folder.write("config.yaml", b"")
    place = Folder.at(str(tmp_path / out))
    written = write_report(runs(replace(made, folder=folder.uri)), place)
    found = Outline((place.read("report.html") or b"").decode())

    links = [attributes["href"] or "" for attributes in found.inside("trials", "a")]
    assert links == ([f"../{made.experiment_id}/"] if is_beside else [])
    if is_beside:
        assert (tmp_path / out / links[0]).is_dir()
    files = {
        attributes["href"] or ""
        for _, tag, attributes in found.elements
        if tag == "a" and (attributes["href"] or "").startswith(("tables/", "figures/"))
    }
    assert files
    assert files <= set(written)
