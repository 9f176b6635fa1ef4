"""Draws the figure of README.md from the folder of `evidence.yaml`: test accuracy by human interactions, on each dataset.

    python sweeps/readme_figure.py runs/evidence sweeps/figures/evidence.png

The trials with equally many optimizer steps are drawn. The ink is dark and the background is white, so that the figure
can be read on light and on dark pages.
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import raycal
from raycal.report.figures.end_labels import spread

SIZE, DPI = (10.4, 3.4), 100  # Inches, and dots per inch.
LINE_OF_TEXT = 0.07  # The height of a label as a share of the height of the axes.
TITLES = {"cifar10": "5,000 images of CIFAR-10", "aid": "5,000 aerial photos (AID)"}


def label_lines(ax: Axes) -> None:
    """Write the name of each line beside the line's right end, in the line's color. Names that would overlap are moved
    up or down."""
    lines = ax.get_lines()
    lowest, highest = ax.get_ylim()
    ends = [line.get_ydata()[-1] for line in lines]
    shares = [(end - lowest) / (highest - lowest) for end in ends]
    heights = spread(shares, [LINE_OF_TEXT] * len(lines), 0.0, 1.0)
    for line, end, height in zip(lines, ends, heights, strict=True):
        name = "all images labeled" if line.get_label().startswith("_") else line.get_label()
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
    panels = figure.subplots(1, len(TITLES))
    for ax, (dataset, title) in zip(panels, TITLES.items(), strict=True):
        ax.set_title(title)
        raycal.plot_accuracy(results, ax, dataset=dataset, settings={"training.stop": "steps"}, legend=False)
        label_lines(ax)
    Path(picture).parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
