"""Describes the results of a sweep for its run in MLflow: the answer of the report, and the summary table."""

from collections.abc import Iterator, Sequence

from raycal.report.people.project import is_labeled_by_people, noun_of, read_projects
from raycal.report.people.words import result_words
from raycal.report.runs import Group, Runs
from raycal.report.stats.answer import Answer, paragraphs
from raycal.report.stats.answer import answers as answers_of_runs
from raycal.report.stats.comparison import Comparison, by_dataset
from raycal.report.stats.estimate import Estimate
from raycal.report.stats.group_summary import GroupSummary, dataset_budget, group_summary
from raycal.tracking.description import description

_COLUMNS = (
    *("strategy", "finished seeds", "test accuracy at the end", "interactions", "annotated images"),
    *("human hours", "wrong cluster labels"),
)


def sweep_description(runs: Runs, answers: Sequence[Answer] | None = None) -> str:
    """The description in Markdown; empty if no trial has finished.

    Args:
        runs: The trials.
        answers: The answer for each dataset. None means that it is computed from the runs.
    """
    if is_labeled_by_people(runs):
        return _people_description(runs)
    comparisons = by_dataset(runs)
    if not any(group.finished for comparison in comparisons for group in comparison.groups):
        return ""
    several = len(comparisons) > 1
    rows = [
        [*([comparison.dataset] if several else []), *row] for comparison in comparisons for row in _rows(comparison)
    ]
    if answers is None:
        answers = answers_of_runs(runs)
    return description(paragraphs(answers), [*(["dataset"] if several else []), *_COLUMNS], rows)


def _people_description(runs: Runs) -> str:
    """The description of a project that people labeled; empty if no round is finished."""
    projects = [project for project in read_projects(runs) if project.rounds]
    if not projects:
        return ""
    noun = noun_of(*(project.trial for project in projects))
    columns = ("round", "answers", "human minutes", f"annotated {noun}s", "test accuracy")
    rows = [
        [
            *(str(one.number), f"{one.answers:,}", f"{one.minutes:,.1f}", f"{one.annotated:,}"),
            "-"
            if one.accuracy is None
            else f"{one.accuracy:.3f}" + ("" if one.low is None else f" ({one.low:.3f} to {one.high:.3f})"),
        ]
        for project in projects
        for one in project.rounds
    ]
    return description([result_words(project) for project in projects], columns, rows)


def _rows(comparison: Comparison) -> Iterator[list[str]]:
    shared = dataset_budget(comparison)
    for group in comparison.groups:
        yield _row(group, group_summary(group, shared))


def _row(group: Group, summary: GroupSummary) -> list[str]:
    return [
        group.label,
        f"{len(group.finished)} of {len(group.trials)}",
        _accuracy(summary.final_accuracy),
        _mean(summary.interactions, ",.0f"),
        _mean(summary.annotated, ",.0f"),
        _mean(summary.human_hours, ".2f"),
        _mean(summary.cluster_label_error, ".1%"),
    ]


def _accuracy(estimated: Estimate | None) -> str:
    if estimated is None or estimated.low is None or estimated.high is None:
        return _mean(estimated, ".3f")
    return f"{estimated.mean:.3f} ({estimated.low:.3f} to {estimated.high:.3f})"


def _mean(estimated: Estimate | None, form: str) -> str:
    return "-" if estimated is None else format(estimated.mean, form)
