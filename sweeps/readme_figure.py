"""Draws the figure of README.md from the folder of a finished sweep: test accuracy by human interactions.

    make readme-figure     # after `make quickstart`

The ink is dark and the background is white, so that the figure can be read on light and on dark pages.
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import raycal

SIZE, DPI = (7.2, 3.0), 100  # inches, dots per inch
LINE_OF_TEXT = 0.07  # height of a label as a share of the axes


def label_lines(ax: Axes) -> None:
    """Write the name of each line beside its right end, in its color, moved up or down where names would overlap."""
    lowest, highest = ax.get_ylim()
    next_free = lowest
    for line in sorted(ax.get_lines(), key=lambda line: line.get_ydata()[-1]):
        end = line.get_ydata()[-1]
        height = max(end, next_free)
        next_free = height + LINE_OF_TEXT * (highest - lowest)
        color = line.get_color()
        name = "supervised: all images labeled" if line.get_label().startswith("_") else line.get_label()
        text = f"{name}  {end:.2f}"
        place = (1.02, (height - lowest) / (highest - lowest))
        ax.annotate(text, place, xycoords="axes fraction", va="center", color=color, annotation_clip=False)


def main(sweep: str, picture: str) -> None:
    """Draw the results in the folder `sweep` into the file `picture`."""
    figure = Figure(figsize=SIZE, layout="constrained", facecolor="white")
    ax = figure.subplots()
    raycal.plot_accuracy(raycal.read_sweep(sweep), ax, legend=False)
    label_lines(ax)
    Path(picture).parent.mkdir(exist_ok=True)
    figure.savefig(picture, dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
