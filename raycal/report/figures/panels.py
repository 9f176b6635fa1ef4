"""Draws panels as SVG for the HTML page, with colors for light and dark mode and tooltips for the points."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raycal.report.figures.charts import Chart, Series
from raycal.report.figures.drawing import draw_chart, save
from raycal.report.figures.end_labels import least_height, settle
from raycal.report.figures.style import FAINT, GRID, INK, PAPER, SINGLE_COLUMN, Look, gid

HEIGHT = 2.5  # The height is in inches.
WIDE = 7.6  # The width, in inches, of a panel that fills the page on a screen larger than a phone's.


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        svg: The SVG element, safe to insert into the page unescaped.
        points: For each point: x and y in SVG coordinates, the CSS class of the scenario, and the text of the tooltip.
    """

    svg: str
    points: Sequence[tuple[float, float, str, str]]


def draw_panel(chart: Chart, looks: Mapping[str, Look], *, prefix: str, is_wide: bool = False) -> Panel:
    """Draw a panel; call it within `drawing(text_as_paths=False)`.

    Args:
        chart: What the panel shows.
        looks: The look of each scenario.
        prefix: A prefix that makes the ids of the panel unique on the page.
        is_wide: Whether the panel fills the page from left to right, instead of one column of it.
    """
    width, height = (WIDE, 1.3 * HEIGHT) if is_wide else (SINGLE_COLUMN, HEIGHT)
    height = max(height, least_height(chart))
    figure = Figure(figsize=(width, height), dpi=72, layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.set_facecolor("none")
    draw_chart(chart, axes, looks, with_settings=is_wide)
    settle(figure)
    svg = save(figure, "svg").decode()
    return Panel(svg=_for_page(svg, looks, prefix), points=list(_points(chart, axes, looks, 72 * height)))


def variable(color: str) -> str:
    """The name of the CSS variable for a color of the light mode."""
    return f"--c{color.removeprefix('#')}"


def _for_page(svg: str, looks: Mapping[str, Look], prefix: str) -> str:
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    svg = re.sub(r'\bid="(s\d+|chance)"', r'class="\1"', svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-").replace('href="#', f'href="#{prefix}-')
    svg = svg.replace(INK, "currentColor").replace(GRID, "var(--grid)").replace(PAPER, "var(--paper)")
    svg = svg.replace(FAINT, "var(--faint)")
    for look in looks.values():
        svg = svg.replace(look.color, f"var({variable(look.color)})")
    return re.sub(r"\n\s*", "\n", svg)


def _points(
    chart: Chart, axes: Axes, looks: Mapping[str, Look], height: float
) -> Iterator[tuple[float, float, str, str]]:
    """Yield the points that lie inside the axes, as in `Panel.points`; `height` is the height of the panel in
    typographic points."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for series in chart.series:
        for x, mean, spread, count in zip(series.x, series.mean, _spreads(series), series.counts, strict=True):
            if not (left <= x <= right and low <= mean <= high):
                continue
            at_x, at_y = axes.transData.transform((x, mean))
            words = f"{series.label}\n{chart.y_label}: {_number(mean)}{spread}"
            words += f"\n{chart.x_label.partition(' (')[0]}: {_number(x)}\nn = {count}"
            yield round(float(at_x), 1), round(height - float(at_y), 1), gid(series.scenario, looks), words


def _spreads(series: Series) -> list[str]:
    """The interval or the standard deviation of each point in words; empty for a point without an interval or a
    deviation."""
    if series.low:
        return [f" [{_number(low)}, {_number(high)}]" for low, high in zip(series.low, series.high, strict=True)]
    return [f" ± {_number(std)}" for std in series.std] or [""] * len(series.x)


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.2f}".removesuffix(".00")
