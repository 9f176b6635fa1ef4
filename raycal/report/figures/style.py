"""The style of each scenario: the same color, marker and line in every figure, for light and dark mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raycal.algorithm.scenario import SCENARIOS

INK, GRID, PAPER = "#1b1b1b", "#dcdcdc", "#ffffff"
FAINT = "#5f666d"  # The color of lines for orientation, such as the level of guessing.
SINGLE_COLUMN, DOUBLE_COLUMN = 3.4, 7.0  # These widths are in inches.


@dataclass(frozen=True, slots=True)
class Look:
    """The style of a scenario.

    Attributes:
        color: The color on a light background.
        dark: The color on a dark background.
        marker: The marker, by its name in matplotlib.
        line: The line style, by its name in matplotlib.
    """

    color: str
    dark: str
    marker: str
    line: Literal["-"] | tuple[float, tuple[float, ...]]


# The colors of the paper's scenarios have the hues of Okabe and Ito, "Color Universal Design" (2008), which readers
# with any color vision can distinguish.
_LOOKS: Mapping[str, Look] = {
    "uncertain+cluster": Look("#0072b2", "#5ab4ec", "o", "-"),
    "cluster+uncertain": Look("#d55e00", "#f58b45", "s", (0, (5, 1.5))),
    "cluster-only": Look("#009e73", "#35c79c", "^", (0, (5, 1.2, 1.2, 1.2))),
    "uncertain-only": Look("#cc79a7", "#e59ac4", "D", (0, (3, 1))),
    "random": Look("#757575", "#a9a9a9", "v", (0, (1.2, 1.2))),
    "supervised": Look(INK, "#e6e6e6", "", "-"),
    "ceal": Look("#332288", "#9a8fe8", "P", (0, (4, 1, 1, 1))),
    "pseudo-labels": Look("#8c510a", "#d3a063", "X", (0, (2.5, 1))),
    "label-propagation": Look("#a50f15", "#f27d7d", "d", (0, (6, 1, 1, 1, 1, 1))),
    "representative-only": Look("#5b8c00", "#a9cf52", "H", (0, (4, 2))),
}
_SPARE = (
    Look("#e69f00", "#e6a51a", "h", "-"),
    Look("#56b4e8", "#8accf2", "*", "-"),
    Look("#882255", "#d16a9f", "<", "-"),
    Look("#999933", "#bdbd5c", ">", "-"),
    Look("#6a51a3", "#a793dd", "p", "-"),
)
assert _LOOKS.keys() == SCENARIOS.keys()


def looks(scenarios: Sequence[str]) -> dict[str, Look]:
    """The look of each scenario; user-defined scenarios take the spare looks in the given order."""
    user_defined = [name for name in dict.fromkeys(scenarios) if name not in _LOOKS]
    return {
        name: _LOOKS[name] if name in _LOOKS else _SPARE[user_defined.index(name) % len(_SPARE)]
        for name in dict.fromkeys(scenarios)
    }


def gid(scenario: str, looks: Mapping[str, Look]) -> str:
    """The SVG id of a scenario's artists, which is valid whatever the scenario's name is."""
    return f"s{list(looks).index(scenario)}"


def settings(*, text_as_paths: bool) -> dict[str, Any]:
    """The matplotlib settings for figures as wide as a column. The same data gives the same bytes."""
    return {
        "svg.hashsalt": "raycal",
        "svg.fonttype": "path" if text_as_paths else "none",
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 7.5,
        "axes.titlesize": 8,
        "axes.labelsize": 7.5,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.3,
        "lines.markersize": 4.0,
    }
