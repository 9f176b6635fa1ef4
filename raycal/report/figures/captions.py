"""The words that several kinds of figures share: captions, and the names of their files."""

import re
from collections.abc import Sequence

from raycal.report.figures.charts import Chart
from raycal.report.figures.slices import Slice


def counts(charts: Sequence[Chart], noun: str) -> str:
    """The number of runs in the means, as in `3 seeds` or `2 to 3 seeds`."""
    numbers = {count for chart in charts for series in chart.series for count in series.counts}
    numbers |= {level.count for chart in charts for level in chart.levels}
    low, high = min(numbers), max(numbers)
    return f"{low if low == high else f'{low} to {high}'} {noun}{'' if high == 1 else 's'}"


def deviation(charts: Sequence[Chart]) -> str:
    """The sentence about the means and deviations over seeds."""
    seeds = counts(charts, "seed")
    if seeds == "1 seed":
        return "With a single seed, no deviation is known."
    return f"Lines show means over {seeds}; bands and bars show one standard deviation."


def best_settings(shown: Sequence[Slice]) -> str:
    """The sentence about the setting at which each scenario is shown; empty if the panels name their settings."""
    if not any(part.is_best_of_each for part in shown):
        return ""
    labeled = [pair for part in shown for pair in zip(part.groups, part.notes, strict=True)]
    best = "; ".join(f"{group.scenario}: {note}" for group, note in labeled if note)
    return (
        f"Each scenario is shown at the setting with its largest area under the budget curve ({best}). The setting was "
        "chosen from these same runs, which favors scenarios with more settings."
    )


def file_name(*parts: str) -> str:
    """The name of a figure's files, without extension."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", "_".join(parts))
