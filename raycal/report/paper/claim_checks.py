"""Turns a claim of the paper into checks. A check consists of one value per seed, and the range in which their mean
must be."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from raycal.report.paper.claims import BEST, CLUSTER_SCENARIOS, MARGIN, SCENARIOS, Claim, Measure
from raycal.report.runs import Group
from raycal.report.stats.comparison import SUPERVISED, ConditionGroup, by_seed, same_seeds
from raycal.report.stats.curves import ACCURACY_KEY, curve_of, final_accuracy, shared_range

LABEL_ERROR = "cluster_label_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison.

    Attributes:
        what: The comparison in words.
        values: One value per seed; their mean must be above `low` and below `high`.
    """

    what: str
    values: tuple[float, ...]
    low: float = 0.0
    high: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The checks that must all pass for a claim to hold.

    Attributes:
        checks: The comparisons; each has at least one value.
        missing: The scenarios that the claim is about and that have no finished trial.
    """

    checks: tuple[Check, ...]
    missing: tuple[str, ...]


class NotTestableError(Exception):
    """The claim cannot be tested on these runs; the message says why."""


def claim_checks(claim: Claim, setting: ConditionGroup) -> Checks:
    """The comparisons for a claim, on one dataset and under one choice of settings.

    Raises:
        NotTestableError: The claim is about other settings, or runs that the check needs are missing.
    """
    scenarios, measure = _MEASURES[claim.measure]
    groups = {name: setting.groups[name] for name in scenarios if name in setting.groups}
    _require_conditions(claim, setting)
    for name in _NEEDED.get(claim.measure, ()):
        if name not in groups:
            raise NotTestableError(f"{name} was not run with these settings")
        if not groups[name].finished:
            raise NotTestableError(f"no seed of {name} finished")
    checks = [check for check in measure(claim, groups) if check.values]
    if not checks:
        raise NotTestableError(_why_nothing(claim, groups))
    finished = [name for name, group in groups.items() if group.finished]
    return Checks(checks=tuple(checks), missing=tuple(name for name in scenarios if name not in finished))


def _require_conditions(claim: Claim, setting: ConditionGroup) -> None:
    """Raise NotTestableError if the claim was made under settings that differ from the settings of the runs."""
    subject = setting.groups.get(BEST if claim.interactions else SUPERVISED)
    if not claim.conditions or subject is None:
        return
    flat = subject.trials[0].config.flat()
    differing = [
        f"{key} is {flat.get(key)}, in the paper {'not set' if value is None else value}"
        for key, value in claim.conditions.items()
        if flat.get(key) != value
    ]
    if differing:
        raise NotTestableError("; ".join(differing))


def _full_supervision(claim: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    assert claim.accuracy is not None
    values = [final_accuracy(trial.lines) for trial in groups[SUPERVISED].finished]
    yield Check(
        what=SUPERVISED,
        values=tuple(value for value in values if value is not None),
        low=claim.accuracy - MARGIN,
        high=claim.accuracy + MARGIN,
    )


def _similar_accuracy(claim: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    assert claim.interactions is not None
    ours, full = by_seed(groups[BEST]), by_seed(groups[SUPERVISED])
    accuracies = [
        (curve.at(claim.interactions), final_accuracy(full[seed].lines))
        for seed in same_seeds([groups[BEST], groups[SUPERVISED]])
        if (curve := curve_of(ours[seed].lines))
    ]
    values = (reached - whole for reached, whole in accuracies if reached is not None and whole is not None)
    yield Check(what=f"{BEST} minus {SUPERVISED}", values=tuple(values), low=-MARGIN)


def _best_area(_: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    for name, group in groups.items():
        if name != BEST:
            yield Check(what=f"{BEST} minus {name}", values=_mean_differences(groups[BEST], group, ACCURACY_KEY))


def _lowest_label_error(_: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    for name, group in groups.items():
        if name != BEST:
            yield Check(what=f"{name} minus {BEST}", values=_mean_differences(group, groups[BEST], LABEL_ERROR))


def _label_error_falls(_: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    for name, group in groups.items():
        curves = [curve_of(trial.lines, LABEL_ERROR) for trial in group.finished]
        falls = (float(curve.values[0] - curve.values[-1]) for curve in curves if curve and len(curve.values) > 1)
        yield Check(what=name, values=tuple(falls))


def _annotated_grows(_: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    for name, group in groups.items():
        annotated = [[line["annotated"] for line in trial.lines] for trial in group.finished]
        growth = [[after - before for before, after in pairwise(counts)] for counts in annotated]
        for step in range(max((len(steps) for steps in growth), default=0)):
            values = tuple(float(steps[step]) for steps in growth if step < len(steps))
            yield Check(what=f"{name}, iteration {step + 1}", values=values)


def _more_than_spent(_: Claim, groups: Mapping[str, Group]) -> Iterator[Check]:
    for name, group in groups.items():
        lasts = [trial.lines[-1] for trial in group.finished if trial.lines]
        yield Check(what=name, values=tuple(float(line["annotated"] - line["interactions"]) for line in lasts))


# For each measure: the scenarios that a claim is about, and the function that computes the measure for the scenarios
# that were run.
_MEASURES: Mapping[Measure, tuple[tuple[str, ...], Callable[[Claim, Mapping[str, Group]], Iterator[Check]]]] = {
    "full supervision": ((SUPERVISED,), _full_supervision),
    "similar accuracy": ((BEST, SUPERVISED), _similar_accuracy),
    "best area": (SCENARIOS, _best_area),
    "lowest label error": (CLUSTER_SCENARIOS, _lowest_label_error),
    "label error falls": (CLUSTER_SCENARIOS, _label_error_falls),
    "annotated grows": (CLUSTER_SCENARIOS, _annotated_grows),
    "more than spent": (CLUSTER_SCENARIOS, _more_than_spent),
}
# The scenarios without which a measure cannot be computed.
_NEEDED: Mapping[Measure, tuple[str, ...]] = {
    "full supervision": (SUPERVISED,),
    "similar accuracy": (BEST, SUPERVISED),
    "best area": (BEST,),
    "lowest label error": (BEST,),
}


def _mean_differences(first: Group, second: Group, metric: str) -> tuple[float, ...]:
    """The value of the first scenario minus the value of the second, for each seed that both scenarios finished.

    The compared values are means over the interactions that all trials of the pair share.
    """
    seeds = same_seeds([first, second])
    curve_pairs = [[curve_of(by_seed(group)[seed].lines, metric) for group in (first, second)] for seed in seeds]
    pairs = [(ours, theirs) for ours, theirs in curve_pairs if ours and theirs]
    shared = shared_range([curve for pair in pairs for curve in pair])
    if shared is None:
        return ()
    means = [(ours.mean_between(*shared), theirs.mean_between(*shared)) for ours, theirs in pairs]
    return tuple(ours - theirs for ours, theirs in means if ours is not None and theirs is not None)


def _why_nothing(claim: Claim, groups: Mapping[str, Group]) -> str:
    if claim.measure == "similar accuracy":
        return f"no seed of both reaches {claim.interactions:,} interactions"
    if not any(group.finished for group in groups.values()):
        return "no seed finished of a scenario that the claim is about"
    return "too few measured points to compare"
