"""Checks every refusal: one clear line per problem, exit code 2, little work, and nothing written elsewhere."""

from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from raycal.sweep.__main__ import main

MAX_CPU_SECONDS = 2.0
SWEEP = """\
name: tiny
experiment:
  dataset: {name: digits, train_size: 40, test_size: 20}
  model: {weights: none}
  scenario: random
  iterations: 1
  interactions_per_iteration: 10
  training: {epochs: 1, image_size: 32}
"""

Refuse = Callable[..., list[str]]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int | str | None, str, str]:
    """Run a command line of the sweep. Return its exit code and what it wrote to stdout and stderr."""
    try:
        code: int | str | None = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return code, printed.out, printed.err


def files_below(folder: Path) -> dict[str, int]:
    """Everything below a folder except the storage and the cache: the paths, with the sizes of files."""
    paths = (path for path in folder.rglob("*") if not {"storage", "cache"} & set(path.relative_to(folder).parts))
    return {str(path): path.lstat().st_size if path.is_file() and not path.is_symlink() else -1 for path in paths}


def refusal(place: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command line that must be refused. Return its error lines, with `FILE` for the sweep file and `PLACE` for
    `place`."""
    before = files_below(place)
    begin = process_time()
    code, _, err = run(arguments, capsys)
    assert process_time() - begin < MAX_CPU_SECONDS
    assert code == 2, err
    assert files_below(place) == before
    lines = err.replace(str(place / "sweep.yaml"), "FILE").replace(str(place), "PLACE").splitlines()
    assert all(line.isprintable() for line in lines), lines
    assert all(len(line) < 1000 for line in lines), lines
    assert len(set(lines)) == len(lines), lines
    return [
        line for line in lines if "replaces the whole group and drops" not in line
    ]  # This note is not part of the refusal.


def expect(lines: list[str], *parts: str) -> None:
    """Check that there is one line for each part, in this order, and no other line."""
    assert len(lines) == len(parts), lines
    assert [part for line, part in zip(lines, parts, strict=True) if part not in line] == [], lines
