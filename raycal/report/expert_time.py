"""The table of the time that the expert needs: one row per group, one column per target accuracy."""

from collections.abc import Sequence

from raycal.report.cells import EMPTY, cell_text
from raycal.report.runs import Group, Runs
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.stats.estimate import Estimate
from raycal.report.stats.group_summary import dataset_budget
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.human_time import hours_at, hours_to_reach
from raycal.report.stats.targets import TARGETS, full_supervision
from raycal.report.views import View

LONGEST_IN_MINUTES = 3.0  # If no time exceeds this number of hours, all times of a table are given in minutes.


def expert_time(runs: Runs) -> list[View]:
    """The mean time of the expert for the shared interactions, and until each target is reached in every seed."""
    comparisons = by_dataset(runs)
    views = (_view(comparison, comparison.dataset if len(comparisons) > 1 else "") for comparison in comparisons)
    return [view for view in views if view.columns or view.notes]


def cost_words(runs: Runs) -> str:
    """How the time of the expert is calculated, if all trials calculate it in the same way; otherwise empty."""
    costs = {
        tuple(getattr(trial.config.expert, f"seconds_per_{what}", None) for what in ("sample", "cluster"))
        for trial in runs.trials
    }
    if len(costs) != 1:
        return ""
    sample, cluster = costs.pop()
    if sample is None or cluster is None:
        return ""
    return f"It is not measured but calculated: {sample:g} s for an image and {cluster:g} s for a cluster."


def in_minutes(hours: Sequence[float]) -> bool:
    """Whether these times are read more easily in minutes."""
    return max(hours, default=0.0) < LONGEST_IN_MINUTES


def _view(comparison: Comparison, title: str) -> View:
    groups = [group for group in comparison.candidates if group.finished]
    columns: dict[str, list[Estimate | None]] = {}
    shared = dataset_budget(comparison)
    if shared:
        columns[f"for {shared[1]:,.0f} interactions"] = [hours_at(group, shared[1]) for group in groups]
    for percent in TARGETS:
        needed = [_hours_to(group, comparison, percent) for group in groups]
        if any(needed):
            columns[f"until {percent} % of full supervision"] = needed
    means = [one.mean for cells in columns.values() for one in cells if one]
    if not means:
        return View(columns={})
    factor, unit = (60.0, "minutes") if in_minutes(means) else (1.0, "hours")
    texts = {
        f"{unit} {head}": [EMPTY if one is None else cell_text(factor * one.mean) for one in cells]
        for head, cells in columns.items()
    }
    notes = []
    for head, cells in list(texts.items()):
        if len(set(cells)) == 1 and len(cells) > 1:  # One sentence replaces a column whose values are all equal.
            notes.append(f"Every scenario takes {cells[0]} {head}.")
            del texts[head]
    return View(title=title, columns={"group": [group.label for group in groups]} | texts if texts else {}, notes=notes)


def _hours_to(group: Group, comparison: Comparison, percent: int) -> Estimate | None:
    full, level = full_supervision(group, comparison), guessing_level(comparison)
    if full is None or is_guessing(percent / 100 * full.mean, level):
        return None
    return hours_to_reach(group, percent / 100 * full.mean)
