"""Writes the names of lines at their right ends, so that a figure needs no legend. The names never overlap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from raycal.report.figures.charts import Chart, Level, Series
from raycal.report.figures.style import FAINT, Look, gid

LINE_HEIGHT = 10.0  # The distance from one label to the next at the labels' size, in typographic points.
AXIS_HEIGHT = 44.0  # The room below and above the axes for ticks, tick labels and the title, in typographic points.
LONGEST = 44  # A name with more characters is shortened to the name of its scenario.


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLabel:
    """The name of one line.

    Attributes:
        y: The height at which the line leaves the axes on the right, in the unit of the data.
        x: Where the line ends. This is inside the axes if the line is shorter than the x axis.
        gid: The SVG class of the line.
    """

    text: str
    x: float
    y: float
    color: str
    gid: str


def end_labels(chart: Chart, axes: Axes, looks: Mapping[str, Look], *, with_settings: bool) -> Iterator[EndLabel]:
    """Yield the label of every line of a panel that can be seen, once the limits of its axes are set."""
    left, right = axes.get_xlim()
    for series in chart.series:
        x, y = _end(series, right)
        if left <= x <= right:
            is_told = with_settings and len(series.label) <= LONGEST
            look = looks[series.scenario]
            yield EndLabel(
                text=series.label if is_told else series.scenario,
                x=x,
                y=y,
                color=look.color,
                gid=gid(series.scenario, looks),
            )
    for level in chart.levels:
        look = looks[level.scenario]
        yield EndLabel(
            text=f"{level_name(level)} {level.mean:.3f}",
            x=right,
            y=level.mean,
            color=look.color,
            gid=gid(level.scenario, looks),
        )
    if chart.chance is not None:
        yield EndLabel(text=f"guessing, up to {chart.chance:.3f}", x=right, y=chart.chance, color=FAINT, gid="chance")


def level_name(level: Level) -> str:
    """The name of a horizontal line."""
    return "full supervision" if level.scenario == "supervised" else level.scenario


def least_height(chart: Chart) -> float:
    """The height of a panel, in inches, at which all of its labels find room."""
    lines = len(chart.series) + len(chart.levels) + (chart.chance is not None)
    return (lines * LINE_HEIGHT + AXIS_HEIGHT) / 72 if chart.has_end_labels else 0.0


def write_end_labels(chart: Chart, axes: Axes, looks: Mapping[str, Look], *, with_settings: bool) -> None:
    """Write the labels of a panel; `settle` moves them to their places when the whole figure is drawn."""
    for label in end_labels(chart, axes, looks, with_settings=with_settings):
        text = axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(1.035, _share(axes, label.y)),
            textcoords="axes fraction",
            color=label.color,
            ha="left",
            va="center",
            annotation_clip=False,
            gid=label.gid,
            arrowprops={
                "arrowstyle": "-",
                "color": label.color,
                "linewidth": 0.5,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
        )
        if text.arrow_patch is not None:
            text.arrow_patch.set_gid(label.gid)


def settle(figure: Figure) -> None:
    """Move the labels of all panels apart, now that the sizes of the panels are known."""
    labeled = [axes for axes in figure.axes if any(isinstance(text, Annotation) for text in axes.texts)]
    engine = figure.get_layout_engine()
    if labeled and engine is not None:
        engine.execute(figure)
    for axes in labeled:
        texts = [text for text in axes.texts if isinstance(text, Annotation)]
        height = axes.get_window_extent().height
        wanted = [_share(axes, text.xy[1]) * height for text in texts]
        heights = [LINE_HEIGHT * figure.dpi / 72] * len(texts)
        for text, y in zip(texts, spread(wanted, heights, 0.0, height), strict=True):
            text.set_position((1.035, y / height))


def spread(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Move labels as little as possible so that no two overlap.

    Args:
        wanted: The center that each label would have if it were alone.
        heights: The height of each label.
        low: The lower end of the room for the labels.
        high: The upper end. If the room is too small for all labels, they extend beyond both ends.

    Returns:
        The center of each label, in the order of `wanted`.
    """
    order = sorted(range(len(wanted)), key=lambda at: (wanted[at], at))
    # Labels that would overlap form a block. The lower end of a block is the mean of the lower ends that its labels ask
    # for.
    # For each block: the sum of the wanted lower ends, the height, and the number of labels.
    blocks: list[tuple[float, float, list[int]]] = []
    room = sum(heights)
    low, high = min(low, (low + high - room) / 2), max(high, (low + high + room) / 2)
    for at in order:
        wish, height, members = wanted[at] - heights[at] / 2, heights[at], [at]
        while blocks and _bottom(blocks[-1], low, high) + blocks[-1][1] > _bottom((wish, height, members), low, high):
            below_wish, below_height, below = blocks.pop()
            wish += below_wish - len(members) * below_height
            height += below_height
            members = below + members
        blocks.append((wish, height, members))
    centers = [0.0] * len(wanted)
    for block in blocks:
        bottom = _bottom(block, low, high)
        for at in block[2]:
            centers[at] = bottom + heights[at] / 2
            bottom += heights[at]
    return centers


def _bottom(block: tuple[float, float, list[int]], low: float, high: float) -> float:
    """The lower end of a block of labels, inside the room."""
    wish, height, members = block
    return min(max(wish / len(members), low), high - height)


def _end(series: Series, right: float) -> tuple[float, float]:
    """The last visible point of a line: the line's end, or the point at which the line leaves the axes."""
    if series.x[-1] <= right or not series.is_joined:
        return series.x[-1], series.mean[-1]
    if series.x[0] > right:
        return series.x[0], series.mean[0]
    return right, float(np.interp(right, series.x, series.mean))


def _share(axes: Axes, y: float) -> float:
    """The height of a value as a share of the height of the axes."""
    low, high = axes.get_ylim()
    return (y - low) / (high - low)
