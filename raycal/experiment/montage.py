"""Draws some of the clusters of one iteration, like figure 1 of the paper: clusters that the expert labeled, and
clusters that it refused."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from raycal.algorithm.records import Answer, Interaction, Kind
from raycal.data import ImageDataset, LoadedDataset
from raycal.errors import counted

CLUSTERS, IMAGES = 6, 8  # the largest number of clusters per answer, and of images per cluster
SIDE = 54  # in pixels; with one byte per pixel, no montage exceeds 300 kB
GAP, CAPTION, MARGIN = 3, 20, 12
COLUMN = IMAGES * (SIDE + GAP) + 10
# Blue and vermilion of Okabe and Ito, which color-blind readers can tell apart; the captions name the answer, too.
COLORS = {Answer.LABELED: (0, 114, 178), Answer.REFUSED: (213, 94, 0)}
WORDS = {Answer.LABELED: "accepted", Answer.REFUSED: "refused"}
INK, PAPER = (40, 40, 40), (255, 255, 255)


def draw(ledger: Sequence[Interaction], loaded: LoadedDataset) -> bytes | None:
    """The clusters shown in an iteration as a PNG of at most 300 kB: accepted on the left, refused on the right.

    For each answer there are up to six clusters, spread over the sizes from the largest down, with up to eight images
    each. The same ledger and images give the same bytes. None if no cluster was shown, or if the samples of the dataset
    are no images.
    """
    shown = [row for row in ledger if row.kind is Kind.CLUSTER]
    if not shown or not isinstance(loaded, ImageDataset):
        return None
    columns = {answer: [row for row in shown if row.answer is answer] for answer in COLORS}
    height = min(CLUSTERS, max(map(len, columns.values()))) * (CAPTION + SIDE + 10) + 2 * MARGIN + 48
    canvas = Image.new("RGB", (2 * COLUMN + 3 * MARGIN, height), PAPER)
    pen = _Pen(canvas)
    pen.write(MARGIN, MARGIN, f"iteration {shown[0].iteration}, {counted(len(shown), 'cluster')}", INK, size=15)
    for column, (answer, rows) in enumerate(columns.items()):
        left, top = MARGIN + column * (COLUMN + MARGIN), MARGIN + 24
        pen.write(left, top, f"{len(rows):,} {WORDS[answer]}", COLORS[answer], size=15)
        by_size = sorted(rows, key=lambda row: (-row.num_samples, row.interaction))
        for number, row in enumerate(spread(by_size, CLUSTERS)):
            pen.draw_cluster(left, top + 26 + number * (CAPTION + SIDE + 10), row, loaded)
    buffer = io.BytesIO()
    canvas.quantize(palette=_palette(canvas)).save(buffer, "PNG")
    return buffer.getvalue()


def tile_boxes(height: int) -> list[tuple[int, int, int, int]]:
    """The places of the images in a montage of this height: left, top, right and bottom of each place, in pixels."""
    lefts = [
        MARGIN + column * (COLUMN + MARGIN) + 10 + place * (SIDE + GAP) for column in (0, 1) for place in range(IMAGES)
    ]
    tops = range(MARGIN + 24 + 26 + CAPTION, height - SIDE, CAPTION + SIDE + 10)
    return [(left, top, left + SIDE, top + SIDE) for top in tops for left in lefts]


class _Pen:
    """Draws on a canvas."""

    def __init__(self, canvas: Image.Image) -> None:
        self._canvas, self._draw = canvas, ImageDraw.Draw(canvas)

    def draw_cluster(self, left: int, top: int, row: Interaction, images: ImageDataset) -> None:
        """Draw a bar in the color of the answer, a caption, and below it some of the cluster's images."""
        color = COLORS[row.answer]
        self._draw.rectangle((left, top, left + 4, top + CAPTION + SIDE), fill=color)
        self.write(left + 10, top + 1, caption(row, images.class_names), INK)
        for place, index in enumerate(spread(row.indices.tolist(), IMAGES)):
            image = Image.fromarray(images.images[images.train_rows[index]])
            # Small images are enlarged without smoothing, which would hide their content; larger images are scaled
            # smoothly.
            resampling = Image.Resampling.NEAREST if image.width <= SIDE // 3 else Image.Resampling.BICUBIC
            self._canvas.paste(
                image.resize((SIDE, SIDE), resampling), (left + 10 + place * (SIDE + GAP), top + CAPTION)
            )

    def write(self, left: int, top: int, words: str, color: tuple[int, int, int], *, size: int = 13) -> None:
        """Write words in one line, cut off where the column ends."""
        font = ImageFont.load_default(size)
        while self._draw.textlength(words, font) > COLUMN - 10:
            words = words[:-2] + "…"
        self._draw.text((left, top), words, fill=color, font=font)


def caption(row: Interaction, class_names: Sequence[str], noun: str = "image") -> str:
    """The answer to a cluster, its purity, and its number of samples."""
    name = WORDS[row.answer] if row.label is None else f"{WORDS[row.answer]} as {class_names[row.label]}"
    # The share is rounded down, because 79.9 % does not reach a threshold of 80 %. The ledger holds the purity in
    # single precision.
    purity = [] if row.purity is None else [f"purity {int(100 * np.float32(row.purity) + 1e-4)}%"]
    return ", ".join([name, *purity, counted(row.num_samples, noun)])


def _palette(canvas: Image.Image) -> Image.Image:
    """The 256 colors of the canvas: exact colors for the background and the words, and further colors from every fourth
    pixel, which saves time."""
    fixed = [part for color in (PAPER, INK, *COLORS.values()) for part in color]
    sample = canvas.resize((canvas.width // 4, canvas.height // 4), Image.Resampling.NEAREST)
    palette = Image.new("P", (1, 1))
    palette.putpalette(fixed + (sample.quantize(256 - len(fixed) // 3).getpalette() or []))
    return palette


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, beginning with the first."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)
