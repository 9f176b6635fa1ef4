"""Builds the tables of a report from the runs of a sweep. Each table has all its columns even if it has no rows."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from statistics import fmean
from typing import Any

import pandas as pd

from raycal.config.labels import named_settings, setting_words
from raycal.monitor.summary import NO_REASON
from raycal.report.paper.parity import Finding, parity
from raycal.report.runs import Group, Runs, Trial
from raycal.report.stats.break_even import BreakEven, break_even
from raycal.report.stats.comparison import RANDOM, Comparison, by_dataset, varied_settings
from raycal.report.stats.estimate import Estimate
from raycal.report.stats.group_summary import GroupSummary, dataset_budget, group_summary
from raycal.report.stats.guessing import guessing_level, is_guessing
from raycal.report.stats.paired import METRICS, Pair, pairwise
from raycal.report.stats.penalty import PenaltyMatrix, penalty_matrix
from raycal.report.stats.recommendation import Recommendation, recommend
from raycal.report.stats.targets import TARGETS, Efficiency, Reached, full_supervision, label_efficiency, reach

Row = tuple[Any, ...]
REMOVED = "no longer in the sweep file"


def tables(runs: Runs) -> dict[str, pd.DataFrame]:
    """All tables by name, in the order of the report. Cells are Python objects: None if undefined, never NaN."""
    comparisons = by_dataset(runs)
    matrices = [(comparison.dataset, penalty_matrix(comparison)) for comparison in comparisons]
    scenarios = tuple(dict.fromkeys(name for _, matrix in matrices for name in matrix.scenarios))
    return {
        "recommendation": _frame(
            _RECOMMENDATION,
            (_recommendation_row(answer) for comparison in comparisons for answer in recommend(comparison)),
        ),
        "summary": _summary(comparisons),
        "targets": _frame(_TARGETS, (row for comparison in comparisons for row in _target_rows(comparison))),
        "break_even": _frame(
            _BREAK_EVEN,
            (_break_even_row(comparison.dataset, one) for comparison in comparisons for one in break_even(comparison)),
        ),
        "pairwise": _frame(
            _PAIRWISE,
            (
                _pair_row(comparison.dataset, pair)
                for comparison in comparisons
                for name in METRICS
                for pair in pairwise(comparison, name)
            ),
        ),
        "penalty": _frame(
            (*_PENALTY, *scenarios), (row for pair in matrices for row in _penalty_rows(*pair, scenarios))
        ),
        "sensitivity": _frame(
            _SENSITIVITY, (row for comparison in comparisons for row in _sensitivity_rows(comparison))
        ),
        "parity": _frame(
            _PARITY, (_parity_row(finding) for comparison in comparisons for finding in parity(comparison))
        ),
        "failures": _frame(_FAILURES, (row for comparison in comparisons for row in _failure_rows(comparison))),
    }


def summary_table(runs: Runs) -> pd.DataFrame:
    """Return the table `summary` alone."""
    return _summary(by_dataset(runs))


def _summary(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    return _frame(_SUMMARY, (row for each in comparisons for row in _summary_rows(each)))


def _frame(columns: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns), dtype=object)


def _interval(estimated: Estimate | None) -> Row:
    """The cells for the mean and both ends of the interval."""
    return (estimated.mean, estimated.low, estimated.high) if estimated else (None, None, None)


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


def _summary_rows(comparison: Comparison) -> Iterator[Row]:
    shared = dataset_budget(comparison)
    for group in comparison.groups:
        yield _summary_row(comparison, group, group_summary(group, shared))


def _summary_row(comparison: Comparison, group: Group, summary: GroupSummary) -> Row:
    efficiency = label_efficiency(group, comparison)
    accuracy = _interval(summary.final_accuracy)
    ratio = efficiency.ratio if efficiency else None
    at_the_end = (summary.interactions, summary.annotated, summary.human_hours, summary.cluster_label_error)
    return (
        comparison.dataset,
        group.label,
        *(summary.count.get(status, 0) for status in ("finished", "stopped", "failed", "unfinished")),
        *_interval(summary.aubc),
        *_interval(summary.shared_aubc),
        accuracy[0],
        summary.final_accuracy.sd if summary.final_accuracy else None,
        *accuracy[1:],
        *(estimated.mean if estimated else None for estimated in at_the_end),
        *_interval(ratio),
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


_TARGETS = (
    "dataset",
    "group",
    "% of full supervision",
    "accuracy",
    "reached",
    "interactions of those that reached",
    "low",
    "high",
    "note",
)


def _target_rows(comparison: Comparison) -> Iterator[Row]:
    level = guessing_level(comparison)
    for percent, group in product(TARGETS, comparison.candidates):
        full = full_supervision(group, comparison)
        if full is None:
            note = "no full supervision with these settings"
            yield (comparison.dataset, group.label, percent, None, None, None, None, None, note)
        elif level is not None and is_guessing(accuracy := percent / 100 * full.mean, level):
            note = f"guessing reaches up to {level:.3f} here"
            yield (comparison.dataset, group.label, percent, accuracy, None, None, None, None, note)
        else:
            reached = reach(group, percent / 100 * full.mean)
            yield (
                comparison.dataset,
                group.label,
                percent,
                reached.accuracy,
                f"{reached.reached} of {len(reached.by_seed)}",
                *_interval(reached.estimate),
                _target_note(reached),
            )


def _target_note(reached: Reached) -> str:
    seeds = len(reached.by_seed)
    if not reached.reached:
        return "not reached" if seeds else "no seed finished"
    notes = ["not reached in every seed: no interval" if not reached.by_all else "one seed: no interval" * (seeds == 1)]
    if reached.at_most:
        notes.append("reached at the first measured point: at most")
    return "; ".join(filter(None, notes))


_BREAK_EVEN = (
    "dataset",
    "target",
    "accuracy",
    "group",
    "against",
    "images",
    "clusters",
    "images of the other",
    *("cost of a cluster at the break-even", "cost low", "cost high"),
    "seeds",
    "note",
)


def _break_even_row(dataset: str, comparison: BreakEven) -> Row:
    spent = comparison.by_seed
    return (
        dataset,
        comparison.target,
        comparison.accuracy,
        comparison.group.label,
        comparison.against.label,
        fmean(one.samples for one in spent) if spent else None,
        fmean(one.clusters for one in spent) if spent else None,
        fmean(one.other for one in spent) if spent else None,
        *_interval(comparison.cost),
        f"{len(spent)} of {comparison.of}",
        _break_even_note(comparison),
    )


def _break_even_note(comparison: BreakEven) -> str:
    if comparison.cost is None:
        return "not reached with clusters"
    notes = ["not reached in every seed: no interval"] if len(comparison.by_seed) < comparison.of else []
    notes += ["one seed: no interval"] if comparison.of == 1 else []
    notes += ["at least: not reached without clusters in every seed"] if comparison.is_bound else []
    notes += ["reached at the first measured point: a bound"] if comparison.at_first else []
    notes += ["nothing saved even if clusters cost nothing"] if comparison.cost.mean < 0 else []
    return "; ".join(notes)


_PAIRWISE = (
    "dataset",
    "metric",
    "first",
    "second",
    "seeds",
    "from interactions",
    "to interactions",
    "first mean",
    "second mean",
    *("difference", "difference low", "difference high"),
    "Cohen's dz",
    "p (t)",
    "p (t, Holm)",
    "p (Wilcoxon)",
    "p (Wilcoxon, Holm)",
    "note",
)


def _pair_row(dataset: str, pair: Pair) -> Row:
    return (
        dataset,
        pair.metric,
        pair.first.label,
        pair.second.label,
        len(pair.seeds),
        *(pair.budget or (None, None)),
        pair.first_mean,
        pair.second_mean,
        *_interval(pair.test.difference),
        pair.test.cohens_dz,
        pair.test.t_p,
        pair.t_p_holm,
        pair.test.wilcoxon_p,
        pair.wilcoxon_p_holm,
        pair.test.note,
    )


_PENALTY = ("dataset", "beats", "settings")


def _penalty_rows(dataset: str, matrix: PenaltyMatrix, scenarios: Sequence[str]) -> Iterator[Row]:
    """Yield a row per scenario, then the column means; nothing if no two scenarios have two seeds in common."""
    if matrix.seeds is None:
        return
    rows = [*zip(matrix.scenarios, matrix.compared, matrix.wins, strict=True)]
    for name, compared, wins in [*rows, ("column mean", (), matrix.column_means)]:
        cells = dict(zip(matrix.scenarios, wins, strict=True))
        yield (dataset, name, max(compared, default=None), *(cells.get(scenario) for scenario in scenarios))


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


def _sensitivity_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield a row per value of each numeric setting that varies while scenario and other settings stay the same."""
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
                    *_interval(summary.shared_aubc),
                    *_interval(summary.final_accuracy),
                )


_PARITY = (
    "dataset",
    "setting",
    "claim",
    "the paper's claim in our words",
    "section",
    "verdict",
    "reason",
    "compared",
    "decided by",
    *("measured", "measured low", "measured high"),
    "seeds",
    "rule",
)


def _parity_row(finding: Finding) -> Row:
    claim = finding.claim
    return (
        finding.dataset,
        finding.setting,
        claim.id,
        claim.words,
        claim.section,
        finding.verdict,
        finding.reason,
        claim.compared,
        finding.what,
        *_interval(finding.measured),
        finding.measured.n if finding.measured else 0,
        claim.rule,
    )


_RECOMMENDATION = (
    "dataset",
    "target",
    "accuracy",
    "group",
    *("interactions", "interactions low", "interactions high"),
    "seeds",
    *("percent fewer than random", "percent low", "percent high"),
    "a lower bound",
    "not distinguishable from",
    "answer",
)


def _recommendation_row(recommendation: Recommendation) -> Row:
    return (
        recommendation.dataset,
        recommendation.target,
        recommendation.accuracy,
        recommendation.group.label if recommendation.group else None,
        *_interval(recommendation.interactions),
        recommendation.interactions.n if recommendation.interactions else 0,
        *_interval(recommendation.saving),
        ("yes" if recommendation.saving_is_bound else "no") if recommendation.saving else None,
        "; ".join(rival.label for rival in recommendation.rivals),
        recommendation.answer,
    )


_FAILURES = ("dataset", "group", "seed", "experiment id", "status", "iterations", "reason")


def _failure_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield a row per trial that is excluded from the statistics."""
    for group in comparison.groups:
        for trial in group.trials:
            if trial.status != "finished":
                yield (
                    comparison.dataset,
                    group.label,
                    trial.config.seed,
                    trial.experiment_id,
                    trial.status,
                    len(trial.lines),
                    _reason(trial),
                )


def _reason(trial: Trial) -> str:
    """The first line of the reason (the phase) and its last line, which names the error of a traceback."""
    if trial.status == "stopped":
        return f"stopped early by {trial.reason}"
    lines = trial.reason.splitlines()
    if trial.is_removed:
        return " … ".join(dict.fromkeys((REMOVED, *lines[:1], *lines[-1:])))
    return " … ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else NO_REASON
