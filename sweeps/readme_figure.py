"""Draws the first figure of README.md from the folder of the sweep `evidence`: test accuracy by human interactions.

    python sweeps/readme_figure.py runs/evidence sweeps/figures/evidence.png

Each chart has the trials of one dataset that were trained for the paper's epochs, or for equally many optimizer steps.
The ink is dark and the background is white, so that the figure can be read on light and on dark pages.
"""

import sys
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import raycal
from raycal.report.figures.end_labels import spread

SIZE, DPI = (9.4, 5.6), 110  # Inches, and dots per inch.
LOWEST, HIGHEST = 0.5, 0.95  # The accuracies that are shown.
COLORS = 96  # Fewer colors make the file smaller.
LINE_OF_TEXT = 0.07  # The height of a label as a share of the height of the axes.
# The dataset, the value of `training.stop`, and the title of each chart.
CHARTS = (
    ("cifar10", "epochs", "CIFAR-10, five epochs as in the paper"),
    ("cifar10", "steps", "CIFAR-10, equally many steps"),
    ("aid", "epochs", "aerial photos, five epochs"),
    ("aid", "steps", "aerial photos, equally many steps"),
)


def label_lines(ax: Axes) -> None:
    """Write the name of each line beside the line's right end, in the line's color. Names that would overlap are moved
    up or down."""
    lines = ax.get_lines()
    lowest, highest = ax.get_ylim()
    ends = [line.get_ydata()[-1] for line in lines]
    shares = [(end - lowest) / (highest - lowest) for end in ends]
    heights = spread(shares, [LINE_OF_TEXT] * len(lines), 0.0, 1.0)
    for line, end, height in zip(lines, ends, heights, strict=True):
        name = "all labels" if line.get_label().startswith("_") else line.get_label()
        ax.annotate(
            f"{name}  {end:.2f}",
            (1.02, height),
            xycoords="axes fraction",
            va="center",
            color=line.get_color(),
            annotation_clip=False,
        )


def main(sweep: str, picture: str) -> None:
    """Draw the results in the folder `sweep` into the file `picture`."""
    results = raycal.read_sweep(sweep)
    figure = Figure(figsize=SIZE, layout="constrained", facecolor="white")
    for ax, (dataset, stop, title) in zip(figure.subplots(2, 2).flat, CHARTS, strict=True):
        ax.set_title(title)
        raycal.plot_accuracy(results, ax, dataset=dataset, settings={"training.stop": stop}, legend=False)
        ax.set_ylim(LOWEST, HIGHEST)
        ax.set_xlabel("questions to people (images or clusters)")
        label_lines(ax)
    Path(picture).parent.mkdir(exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLORS).save(picture, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
