"""The time that the expert needs until a group has an accuracy."""

from collections.abc import Sequence

from raycal.report.runs import Group, Trial
from raycal.report.stats.curves import curve_of, reached_at
from raycal.report.stats.estimate import Estimate, estimate


def hours_to_reach(group: Group, accuracy: float) -> Estimate | None:
    """The hours of the expert until the accuracy is reached; None unless every finished seed reaches it."""
    return _of_all([_hours_at(trial, reached_at(trial.lines, accuracy)) for trial in group.finished])


def hours_at(group: Group, interactions: float) -> Estimate | None:
    """The hours of the expert for a number of interactions; None unless every finished seed made so many
    interactions."""
    return _of_all([_hours_at(trial, interactions) for trial in group.finished])


def _hours_at(trial: Trial, interactions: float | None) -> float | None:
    curve = curve_of(trial.lines, "human_hours")
    return None if curve is None or interactions is None else curve.at(interactions)


def _of_all(hours: Sequence[float | None]) -> Estimate | None:
    """The estimate over all seeds. None unless every seed has a value, because a mean over some seeds would be the mean
    of the quickest seeds."""
    known = [one for one in hours if one is not None]
    return estimate(known) if len(known) == len(hours) else None
