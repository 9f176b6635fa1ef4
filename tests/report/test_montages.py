import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import line, runs, trial

from raycal.algorithm.records import Answer
from raycal.experiment.montage import CAPTION, COLORS, INK, MARGIN, tile_boxes
from raycal.report import montages
from raycal.report.montages import galleries, without_paper
from raycal.storage.folder import Folder

HEIGHT = 2 * MARGIN + 48 + 2 * (CAPTION + 64)


def montage(*, tile: tuple[int, int, int] = (10, 200, 30)) -> bytes:
    """A picture with the layout of a montage: paper, one word, one bar and an image in the first place."""
    pixels = np.full((HEIGHT, 968, 3), 255, np.uint8)
    pixels[2:4, 2:4] = INK
    pixels[60:70, 12:17] = COLORS[Answer.LABELED]
    left, top, right, bottom = tile_boxes(HEIGHT)[0]
    pixels[top:bottom, left:right] = tile
    pixels[top + 5, left + 5] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_paper_becomes_transparent_and_images_stay() -> None:
    shown = np.asarray(Image.open(io.BytesIO(without_paper(montage()))).convert("RGBA"))
    left, top, _, _ = tile_boxes(HEIGHT)[0]
    empty_left, empty_top, _, _ = tile_boxes(HEIGHT)[1]

    assert shown[0, 0, 3] == 0
    # The cluster has a single image, so its second place is transparent.
    assert shown[empty_top + 5, empty_left + 5, 3] == 0
    assert shown[top, left].tolist() == [10, 200, 30, 255]
    assert shown[top + 5, left + 5].tolist() == [255, 255, 255, 255]  # White pixels of an image stay opaque.
    assert shown[3, 3].tolist() == [*montages.GRAY, 255]
    assert shown[65, 14].tolist() == [*montages.BLUE, 255]
    assert without_paper(montage()) == without_paper(montage())


@pytest.mark.parametrize("background", [255, 20])
def test_words_can_be_read_on_a_light_and_on_a_dark_page(background: int) -> None:
    def luminance(color: tuple[int, ...]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    paper = luminance((background,) * 3)
    for ink in (montages.GRAY, montages.BLUE, COLORS[Answer.REFUSED]):
        low, high = sorted([luminance(ink), paper])
        assert (high + 0.05) / (low + 0.05) > 3.5


def test_first_and_last_iterations_come_first_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for name in ("cluster-only", "uncertain+cluster"):
        for iteration in range(4):
            Folder.at(str(tmp_path / name)).write(f"clusters/iteration-00{iteration}.png", montage())
        made.append(trial(name, 0, lines=[line(0, 0.5)], folder=str(tmp_path / name)))
    of = runs(*made)

    all_of_them = [[one.iteration for one in gallery.montages] for gallery in galleries(of)]
    monkeypatch.setattr(montages, "MAX_BYTES", 5 * len(montage()))
    some = galleries(of)

    assert all_of_them == [[0, 1, 2, 3]] * 2
    assert [[one.iteration for one in gallery.montages] for gallery in some] == [[0, 1, 3], [0, 3]]
    assert [gallery.left_out for gallery in some] == [1, 2]
    assert base64.b64decode(some[0].montages[0].uri.partition(",")[2])[8:12] == b"WEBP"
