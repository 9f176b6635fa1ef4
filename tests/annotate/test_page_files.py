"""Checks the files of the page: they obey the content policy of the server, and a browser loads few bytes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import raycal
from raycal.annotate.static_files import static_files

STATIC = Path(raycal.__file__).parent / "annotate" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))


def test_page_has_no_inline_script_or_style() -> None:
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []


def test_page_loads_nothing_from_elsewhere() -> None:
    for path in [*SCRIPTS, STATIC / "index.html", STATIC / "style.css"]:
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\"'\s)]*", path.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_scripts_never_parse_text_as_markup() -> None:
    for path in SCRIPTS:
        assert (
            re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()
            )
            == []
        )


def test_every_imported_module_exists() -> None:
    for path in SCRIPTS:
        for name in re.findall(r'from "(.+?)"', path.read_text()):
            assert name.startswith("./")
            assert (STATIC / name).is_file(), f"{path.name} imports {name}"


def test_scripts_are_small() -> None:
    """The goal is 60 kB. The server sends the scripts compressed, where the comments for the readers add little."""
    sent = [file.zipped for name, file in static_files().items() if name.endswith(".js")]
    assert len(sent) == len(SCRIPTS)
    assert sum(map(len, sent)) < 38_000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tsc") is None, reason="TypeScript is not installed")
def test_types_are_right() -> None:
    checked = subprocess.run(["tsc", "-p", str(STATIC)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
