"""Tables with the values of each group: the summary, and the sensitivity to each setting."""

from collections.abc import Iterator, Sequence

import pandas as pd

from raycal.config.labels import named_settings, setting_words
from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, Comparison, varied_settings
from raycal.report.stats.group_summary import GroupSummary, dataset_budget, group_summary
from raycal.report.stats.targets import Efficiency, label_efficiency
from raycal.report.tables.frame import Row, frame, interval

_SUMMARY = (
    "dataset",
    "group",
    "finished",
    "stopped",
    "failed",
    "unfinished",
    *("AUBC", "AUBC low", "AUBC high"),
    *("AUBC on shared budget", "AUBC on shared budget low", "AUBC on shared budget high"),
    *("final accuracy", "final accuracy sd", "final accuracy low", "final accuracy high"),
    "interactions",
    "annotated",
    "human hours",
    "cluster label error",
    *("label efficiency", "label efficiency low", "label efficiency high", "label efficiency seeds"),
    "note",
)


def summary_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The values of every group over its finished seeds."""
    return frame(_SUMMARY, (row for comparison in comparisons for row in _summary_rows(comparison)))


def _summary_rows(comparison: Comparison) -> Iterator[Row]:
    shared = dataset_budget(comparison)
    for group in comparison.groups:
        yield _summary_row(comparison, group, group_summary(group, shared))


def _summary_row(comparison: Comparison, group: Group, summary: GroupSummary) -> Row:
    efficiency = label_efficiency(group, comparison)
    accuracy = interval(summary.final_accuracy)
    ratio = efficiency.ratio if efficiency else None
    at_the_end = (summary.interactions, summary.annotated, summary.human_hours, summary.cluster_label_error)
    return (
        comparison.dataset,
        group.label,
        *(summary.count.get(status, 0) for status in ("finished", "stopped", "failed", "unfinished")),
        *interval(summary.aubc),
        *interval(summary.shared_aubc),
        accuracy[0],
        summary.final_accuracy.sd if summary.final_accuracy else None,
        *accuracy[1:],
        *(estimated.mean if estimated else None for estimated in at_the_end),
        *interval(ratio),
        f"{ratio.n if ratio else 0} of {efficiency.of}" if efficiency else None,
        _summary_note(group, summary, efficiency, has_random=RANDOM in comparison.condition_group_of(group).groups),
    )


def _summary_note(group: Group, summary: GroupSummary, efficiency: Efficiency | None, *, has_random: bool) -> str:
    finished = summary.count.get("finished", 0)
    notes = ["no seed finished" if not finished else "one seed: no interval" if finished == 1 else ""]
    if not has_random:
        notes.append("no random with these settings")
    if removed := len(group.removed):
        which = "" if removed == len(group.trials) else f"{removed} of {len(group.trials)} seeds "
        notes.append(f"{which}no longer in the sweep file")
    if efficiency and efficiency.guessed:
        seeds = f"{efficiency.guessed} of {efficiency.of} seeds"
        notes.append(f"label efficiency unknown in {seeds}: the final accuracy of random may be guessed")
    if efficiency and efficiency.both_at_first:
        seeds = f"{efficiency.both_at_first} of {efficiency.of} seeds"
        notes.append(f"label efficiency unknown in {seeds}: both had the accuracy at the first evaluation")
    return "; ".join(filter(None, notes))


_SENSITIVITY = (
    "dataset",
    "setting",
    "value",
    "scenario",
    "other settings",
    "seeds",
    *("AUBC on shared budget", "AUBC low", "AUBC high"),
    *("final accuracy", "final accuracy low", "final accuracy high"),
)


def sensitivity_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The accuracy of every group by the value of each numeric setting that varies."""
    return frame(_SENSITIVITY, (row for comparison in comparisons for row in _sensitivity_rows(comparison)))


def _sensitivity_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each value of each numeric setting. A setting has rows only if it varies among groups that are
    otherwise equal."""
    shared = dataset_budget(comparison)
    keys = varied_settings(comparison.groups)
    for key in keys:
        curves: dict[tuple[str, str], list[tuple[float, Group]]] = {}
        for group in comparison.groups:
            value = named_settings(group.trials[0].config).get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = setting_words({other: group.settings[other] for other in keys if other != key})
                curves.setdefault((group.scenario, others), []).append((value, group))
        for (scenario, others), points in curves.items():
            for value, group in sorted(points, key=lambda point: point[0]) if len(points) > 1 else ():
                summary = group_summary(group, shared)
                yield (
                    comparison.dataset,
                    key,
                    value,
                    scenario,
                    others,
                    summary.count.get("finished", 0),
                    *interval(summary.shared_aubc),
                    *interval(summary.final_accuracy),
                )
