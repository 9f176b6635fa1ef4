"""Computes the summary values of a group, each as an estimate over its finished seeds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from raycal.report.runs import Group, Trial
from raycal.report.stats.comparison import Comparison, is_whole_pool
from raycal.report.stats.curves import aubc_between, final_accuracy, shared_budget, value_of
from raycal.report.stats.estimate import Estimate, estimate
from raycal.storage.results import area_under_budget_curve, last_defined
from raycal.storage.run_dir import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """Summary values over the finished trials of a group. A value is None if no trial has it.

    Intervals of accuracies are clipped to 0 and 1.

    Attributes:
        count: The number of trials by status, over all trials of the group.
        aubc: The area under the budget curve over each trial's own interactions; None for full supervision, whose
            curve has one point.
        shared_aubc: The area under the budget curve over the interactions that all finished trials of the dataset
            share; None for full supervision.
        final_accuracy: The last measured accuracy.
        interactions: The interactions spent by the end of a trial.
        annotated: The annotated images at the end of a trial.
        human_hours: The hours that the expert has spent by the end of a trial.
        cluster_label_error: The share of wrong labels in the last iteration in which a cluster was accepted.
    """

    count: Mapping[Outcome, int]
    aubc: Estimate | None
    shared_aubc: Estimate | None
    final_accuracy: Estimate | None
    interactions: Estimate | None
    annotated: Estimate | None
    human_hours: Estimate | None
    cluster_label_error: Estimate | None


def group_summary(group: Group, shared: tuple[float, float] | None) -> GroupSummary:
    """The summary values of one group; `shared` is the range of interactions that the trials of its dataset share."""
    trials = group.finished
    if is_whole_pool(group):
        areas, shared_areas = [], []
    else:
        areas = [area_under_budget_curve(trial.lines) for trial in trials]
        shared_areas = [aubc_between(trial.lines, *shared) for trial in trials] if shared else []
    return GroupSummary(
        count=Counter(trial.status for trial in group.trials),
        aubc=_of_accuracies(areas),
        shared_aubc=_of_accuracies(shared_areas),
        final_accuracy=final_accuracies(group),
        interactions=_estimate([_last(trial, "interactions") for trial in trials]),
        annotated=_estimate([_last(trial, "annotated") for trial in trials]),
        human_hours=_estimate([_last(trial, "human_hours") for trial in trials]),
        cluster_label_error=_estimate([last_defined(trial.lines, "cluster_label_error") for trial in trials]),
    )


def dataset_budget(comparison: Comparison) -> tuple[float, float] | None:
    """The range of interactions that all finished trials of a dataset share; full supervision is left out."""
    return shared_budget(trial for group in comparison.candidates for trial in group.finished)


def final_accuracies(group: Group) -> Estimate | None:
    """The estimate of the final accuracy over the finished trials."""
    return _of_accuracies([final_accuracy(trial.lines) for trial in group.finished])


def _of_accuracies(values: list[float | None]) -> Estimate | None:
    """The estimate of accuracies or areas, whose mean lies between 0 and 1."""
    estimated = _estimate(values)
    return estimated and estimated.within(0.0, 1.0)


def _estimate(values: list[float | None]) -> Estimate | None:
    return estimate([value for value in values if value is not None])


def _last(trial: Trial, key: str) -> float | None:
    return value_of(trial.lines[-1], key) if trial.lines else None
