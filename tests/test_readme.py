"""Checks that README.md is short and true: its links lead somewhere, and its sweep file and commands are valid."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

import raycal
from raycal.__main__ import COMMANDS
from raycal.config import load_sweep
from raycal.experiment import build

ROOT = Path(raycal.__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "sweeps/README.md", "ARCHITECTURE.md")
MAX_FIGURE_BYTES = 120_000


def anchors(page: Path) -> set[str]:
    """The names by which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text())
    inside = [link for link in links if "://" not in link]
    assert len(inside) >= 1
    for link in inside:
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_readme_is_read_in_some_minutes() -> None:
    assert len([line for line in README.splitlines() if line]) <= 95
    assert "no part of it has run on a GPU yet" in README


def test_figures_are_small() -> None:
    figures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert len(figures) == 2
    for figure in figures:
        content = (ROOT / figure).read_bytes()
        assert content.startswith((b"\x89PNG", b"\xff\xd8"))
        assert len(content) < MAX_FIGURE_BYTES


def test_each_command_for_users_is_said_in_a_line() -> None:
    first_words = re.findall(r"^    (python -m raycal\.\w+|ray job submit) .*# \w", README, re.MULTILINE)
    told = {words.removeprefix("python -m raycal.") for words in first_words}
    assert told == (set(COMMANDS) - {"bench"}) | {"ray job submit"}
    assert len(first_words) == len(told)


def test_sweep_file_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"^    # birds\.yaml\n((?:    .*\n)+)", README, re.MULTILINE)
    (tmp_path / "birds.yaml").write_text(dedent(block))
    sweep = load_sweep(str(tmp_path / "birds.yaml"), build.REGISTRIES)

    # Three of the six scenarios form no clusters, so that the threshold cannot change them.
    assert len(sweep.experiments) == 3 * (3 + 3 * 3)
