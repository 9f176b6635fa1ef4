"""Charts of how many images cluster annotation saves, depending on the cost of a cluster; the break-even is where a
curve crosses zero."""

from collections.abc import Sequence

import numpy as np

from raycal.report.figures.charts import Chart, Level, Series
from raycal.report.stats.break_even import BreakEven, break_even
from raycal.report.stats.comparison import Comparison

POINTS = 13
CAPTION = (
    "Images saved when the accuracy is reached, by the cost of a cluster, which is 1 in the paper. The line at 0 is "
    "the scenario that needs the fewest images among those that show single images only. A scenario that was run with "
    "several settings is drawn at the one with the highest break-even."
)


def saving_charts(comparison: Comparison) -> tuple[Chart, ...]:
    """One panel per target accuracy that a group reached; empty if no target was reached."""
    best: dict[str, dict[str, BreakEven]] = {}
    for point in _against_the_best(comparison):
        others = best.setdefault(point.target, {})
        rival = others.get(point.group.scenario)
        if rival is None or _cost(point) > _cost(rival):
            others[point.group.scenario] = point
    return tuple(_chart(target, list(points.values())) for target, points in best.items())


def _against_the_best(comparison: Comparison) -> list[BreakEven]:
    """The first comparison of each group for each target, which compares the group with the best group without
    clusters. Comparisons without a cost are left out."""
    firsts: dict[tuple[str, int], BreakEven] = {}
    for point in break_even(comparison):
        firsts.setdefault((point.target, comparison.groups.index(point.group)), point)
    return [point for point in firsts.values() if point.cost]


def _cost(point: BreakEven) -> float:
    return point.cost.mean if point.cost else -np.inf


def _chart(target: str, points: Sequence[BreakEven]) -> Chart:
    top = max(2.0, *(1.2 * _cost(point) for point in points))
    costs = np.linspace(0, top, POINTS)
    rivals = {point.against.scenario: len(point.by_seed) for point in points}
    return Chart(
        title=target,
        x_label="cost of a cluster (images)",
        y_label="images saved (%)",
        series=tuple(_series(point, costs) for point in points),
        levels=tuple(Level(scenario=name, mean=0.0, std=0.0, count=count) for name, count in rivals.items()),
    )


def _series(point: BreakEven, costs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Series:
    savings = np.array([[spent.saving(cost) for cost in costs] for spent in point.by_seed])
    count = len(savings)
    return Series(
        scenario=point.group.scenario,
        label=point.group.label,
        x=tuple(costs.tolist()),
        mean=tuple(savings.mean(axis=0).tolist()),
        std=tuple(savings.std(axis=0, ddof=1).tolist()) if count > 1 else (),
        counts=(count,) * len(costs),
    )
