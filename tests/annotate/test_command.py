"""What the command line refuses before anything is started or written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raycal.annotate.__main__ import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(folder: Path, number: int) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for row in range(number):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{row}.png")


@pytest.mark.parametrize(
    ("number", "problem"),
    [(0, "has no image"), (1, "at least 2 different ones are needed")],
)
def test_folder_without_enough_images_leaves_nothing_behind(
    number: int, problem: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(here / "birds", number)

    assert main(["birds"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
    assert [path.name for path in here.iterdir()] == ["birds"]


def test_root_of_the_file_system_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/"]) == 2

    assert capsys.readouterr().err == "/: give a folder below this one\n"
