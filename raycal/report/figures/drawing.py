"""Draws the figures with matplotlib, for papers as SVG, PDF and PNG. The same runs give the same bytes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, MaxNLocator, NullLocator, ScalarFormatter, StrMethodFormatter

from raycal.report.figures.charts import ITERATION, Chart, Level, Plate, Series
from raycal.report.figures.end_labels import least_height, level_name, settle, write_end_labels
from raycal.report.figures.style import DOUBLE_COLUMN, FAINT, PAPER, SINGLE_COLUMN, Look, gid, settings

ROW_HEIGHT, LEGEND_LINE, TITLE_LINE = 2.35, 0.17, 0.15  # These heights are in inches.
PNG_DPI = 200
MARKER_EDGE: Mapping[str, Any] = {"markeredgecolor": PAPER, "markeredgewidth": 0.4}
# No metadata about the date or the machine, so that the same figure gives the same bytes.
METADATA: Mapping[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")


def render(plate: Plate, looks: Mapping[str, Look]) -> dict[Format, bytes]:
    """The contents of a figure's files, by file extension."""
    with drawing(text_as_paths=True):
        figure = draw_plate(plate, looks)
        return {ending: save(figure, ending) for ending in FORMATS}


@contextmanager
def drawing(*, text_as_paths: bool) -> Iterator[None]:
    """Apply the report's matplotlib style to all figures that are drawn and saved in this context."""
    style: Any = settings(text_as_paths=text_as_paths)
    with rc_context(style):
        yield


def save(figure: Figure, ending: Format) -> bytes:
    """The bytes of a figure in the given file format."""
    buffer = BytesIO()
    dpi = PNG_DPI if ending == "png" else 72
    figure.savefig(buffer, format=ending, dpi=dpi, metadata=METADATA[ending])
    return buffer.getvalue()


def draw_plate(plate: Plate, looks: Mapping[str, Look]) -> Figure:
    """Draw a figure with all its panels, and one legend below them unless the lines name themselves."""
    columns = max(len(row) for row in plate.rows)
    charts = [chart for row in plate.rows for chart in row]
    entries = {} if _names_its_lines(plate) else legend_handles(charts, looks)
    legend_columns = _legend_columns(entries, columns)
    legend_lines = -(-len(entries) // legend_columns)
    row_height = max(ROW_HEIGHT + TITLE_LINE * any(chart.title for chart in charts), *map(least_height, charts), 0)
    height = len(plate.rows) * row_height + LEGEND_LINE * legend_lines
    width = DOUBLE_COLUMN if columns > 1 else SINGLE_COLUMN
    figure = Figure(figsize=(width, height), dpi=72, layout="constrained", facecolor=PAPER)
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.05, wspace=0.03)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(len(plate.rows), columns, squeeze=False)
    for row, axes_row in zip(plate.rows, panels, strict=True):
        for axes in axes_row[len(row) :]:
            axes.remove()
        for chart, axes in zip(row, axes_row, strict=False):
            draw_chart(chart, axes, looks)
    if entries:
        figure.legend(
            handles=list(entries.values()),
            labels=list(entries),
            loc="outside lower center",
            ncols=legend_columns,
            frameon=False,
            handlelength=2.6,
            columnspacing=1.6,
        )
    settle(figure)
    return figure


def _names_its_lines(plate: Plate) -> bool:
    """Whether each row names its lines at their ends in full, so that a legend would repeat the names."""
    return all(
        row[0].has_end_labels and all(series.label == series.scenario for series in row[0].series) for row in plate.rows
    )


def draw_chart(chart: Chart, axes: Axes, looks: Mapping[str, Look], *, with_settings: bool = False) -> None:
    """Draw one panel, without a legend; every artist of a scenario gets the scenario's `gid`.

    Call `settle` for the figure when all of its panels are drawn.

    Args:
        with_settings: Whether the names at the ends of the lines contain the settings, which takes much room.
    """
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    for level in chart.levels:
        _draw_level(level, axes, looks)
    if chart.chance is not None:
        axes.axhline(chart.chance, linewidth=0.8, linestyle=(0, (1, 2)), color=FAINT, gid="chance", zorder=1.7)
    for series in chart.series:
        _draw_series(series, axes, looks)
    if chart.is_log:
        axes.set_xscale("log")
    if chart.x_range:
        axes.set_xlim(*chart.x_range)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    _ticks(chart, axes)
    if chart.has_end_labels:
        write_end_labels(chart, axes, looks, with_settings=with_settings)


def _draw_series(series: Series, axes: Axes, looks: Mapping[str, Look]) -> None:
    look, line = looks[series.scenario], _line(series.scenario, looks)
    axes.plot(
        series.x,
        series.mean,
        linestyle=look.line if series.is_joined else "none",
        marker=look.marker,
        label=series.label,
        zorder=3,
        **MARKER_EDGE,
        **line,
    )
    if not series.std and not series.low:
        return
    low = series.low or [mean - std for mean, std in zip(series.mean, series.std, strict=True)]
    high = series.high or [mean + std for mean, std in zip(series.mean, series.std, strict=True)]
    if series.is_band:
        axes.fill_between(series.x, low, high, alpha=0.16, linewidth=0, zorder=2, **line)
    else:
        axes.vlines(series.x, low, high, linewidth=0.8, zorder=2.5, **line)


def _draw_level(level: Level, axes: Axes, looks: Mapping[str, Look]) -> None:
    look, line = looks[level.scenario], _line(level.scenario, looks)
    axes.axhline(level.mean, linewidth=1.0, linestyle=look.line, zorder=1.9, **line)
    if level.std:
        axes.axhspan(level.mean - level.std, level.mean + level.std, alpha=0.14, linewidth=0, zorder=1.8, **line)


def _line(scenario: str, looks: Mapping[str, Look]) -> dict[str, Any]:
    return {"color": looks[scenario].color, "gid": gid(scenario, looks)}


def _ticks(chart: Chart, axes: Axes) -> None:
    steps = [1, 2, 2.5, 5, 10]
    if chart.ticks:
        axes.set_xticks(chart.ticks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    elif not chart.is_log:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=steps, integer=chart.x_label == ITERATION))
        axes.xaxis.set_major_formatter(_formatter(axes.get_xlim()))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=steps))
    axes.yaxis.set_major_formatter(_formatter(axes.get_ylim()))


def _formatter(limits: tuple[float, float]) -> Formatter:
    """A tick formatter: thousands with separators, smaller numbers with the decimals that all ticks need."""
    if max(limits) >= 1000:
        return StrMethodFormatter("{x:,.0f}")
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    return formatter


def legend_handles(charts: Iterable[Chart], looks: Mapping[str, Look]) -> dict[str, Line2D]:
    """Return the handles of a legend by label; scenarios come in the order of their looks."""
    labels: dict[str, str] = {}
    for chart in charts:
        labels |= {series.label: series.scenario for series in chart.series}
        labels |= {level_name(level): level.scenario for level in chart.levels}
    order = list(looks)
    handles: dict[str, Line2D] = {}
    for label in sorted(labels, key=lambda one: order.index(labels[one])):
        look = looks[labels[label]]
        handles[label] = Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, **MARKER_EDGE)
    return handles


def _legend_columns(entries: Mapping[str, Any], panels: int) -> int:
    """The number of legend columns that fit in the width, judged by the longest label."""
    width = (DOUBLE_COLUMN if panels > 1 else SINGLE_COLUMN) * 72
    longest = max(map(len, entries), default=1)
    return max(1, min(len(entries), int(width // (longest * 4.3 + 40))))
