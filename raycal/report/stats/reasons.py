"""Says why a strategy won, if the records of the strategies show a reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from raycal.report.runs import Group
from raycal.report.stats.at_budget import AtBudget, Margin
from raycal.report.stats.comparison import by_seed
from raycal.report.stats.estimate import number

MANY_REFUSED = 0.5  # A share of refused clusters of at least this much explains why a strategy lost.
MANY_WRONG = 0.05  # A share of wrong labels of at least this much explains why a strategy lost.
FEWER_WRONG = 0.02  # A difference of at least this much between two shares of wrong labels explains which strategy won.
# A ratio of at least this much between the annotated images of two strategies explains which strategy won.
MORE_ANNOTATED = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the winner won.

    Attributes:
        words: A clause of a sentence that gives the reason.
        about: The group that the clause compares the winner with; None if it is about the winner alone.
    """

    words: str
    about: Group | None


def reason(result: AtBudget) -> Reason | None:
    """The reason why the winner won; None if the records show no reason.

    Groups that cannot be told apart from the winner have not lost, so no reason is given for them.
    """
    lost = [margin.over for margin in result.margins if not margin.is_unclear and margin.difference.mean > 0]
    return next(_reasons(result, lost), None) if lost else None


def named_margins(result: AtBudget) -> tuple[Margin, ...]:
    """The margins that the answer names, in the order of the ranking.

    These are the main margins, and the margin over the group that the reason is about.
    """
    named = [margin.over for margin in result.main_margins]
    why = reason(result)
    named += [why.about] if why is not None and why.about is not None else []
    return tuple(margin for margin in result.margins if any(margin.over is group for group in named))


def _reasons(result: AtBudget, lost: list[Group]) -> Iterator[Reason]:
    """Yield the reasons, the strongest one first."""
    winner = result.winner.group
    yield from _own_pseudo_labels(result, winner)
    if _clusters_shown(result, winner):
        singles = [group for group in lost if group is result.random]
        singles += [group for group in lost if group is not result.random]
        yield from _annotated_more(result, winner, singles)
        yield from _fewer_wrong(result, winner, lost)
    else:
        loser = next((group for group in lost if _clusters_shown(result, group)), None)
        if loser is not None:
            yield from _lost_by_clusters(result, loser)
    yield from _wrong_pseudo_labels(result, lost)


def _annotated_more(result: AtBudget, winner: Group, lost: list[Group]) -> Iterator[Reason]:
    ours = _mean(result, winner, "annotated")
    for group in lost:
        theirs = _mean(result, group, "annotated")
        if ours and theirs and ours >= MORE_ANNOTATED * theirs:
            images = f"{number(round(ours))} images, and {group.label} {number(round(theirs))}"
            words = f"by then {winner.label} had annotated {images}"
            yield Reason(words=words, about=group)


def _fewer_wrong(result: AtBudget, winner: Group, lost: list[Group]) -> Iterator[Reason]:
    ours = _mean(result, winner, "cluster_label_error")
    for group in lost:
        theirs = _mean(result, group, "cluster_label_error")
        if ours is not None and theirs is not None and theirs - ours >= FEWER_WRONG:
            theirs_words = f"{percent(theirs)} of the cluster labels of {group.label}"
            words = f"{percent(ours)} of its cluster labels were wrong, and {theirs_words}"
            yield Reason(words=words, about=group)


def _lost_by_clusters(result: AtBudget, loser: Group) -> Iterator[Reason]:
    shown, accepted = _clusters_shown(result, loser), _sum(result, loser, "clusters_accepted")
    if accepted is not None and 1 - accepted / shown >= MANY_REFUSED:
        share = "all clusters" if not accepted else f"{percent(1 - accepted / shown)} of the clusters"
        yield Reason(words=f"the expert refused {share} that {loser.label} showed", about=loser)
    error = _mean(result, loser, "cluster_label_error")
    if error is not None and error >= MANY_WRONG:
        yield Reason(words=f"{percent(error)} of the cluster labels of {loser.label} were wrong", about=loser)


def _own_pseudo_labels(result: AtBudget, winner: Group) -> Iterator[Reason]:
    if count := _mean(result, winner, "pseudo_labeled"):
        error = _mean(result, winner, "pseudo_label_error")
        wrong = "" if error is None else f", {percent(error)} of them wrong"
        words = f"it was also trained on {number(round(count))} labels that its own model gave{wrong}"
        yield Reason(words=words, about=None)


def _wrong_pseudo_labels(result: AtBudget, lost: list[Group]) -> Iterator[Reason]:
    for group in lost:
        error = _mean(result, group, "pseudo_label_error")
        if error is not None and error >= MANY_WRONG:
            words = f"{percent(error)} of the labels that the model of {group.label} gave to images were wrong"
            yield Reason(words=words, about=group)


def percent(share: float) -> str:
    """A share in whole percent; only a share of exactly 0 or 1 is written as 0 % or 100 %."""
    rounded = min(99, max(1, round(100 * share))) if 0 < share < 1 else round(100 * share)
    return f"{rounded} %"


def _clusters_shown(result: AtBudget, group: Group) -> float:
    return _sum(result, group, "clusters_shown") or 0.0


def _sum(result: AtBudget, group: Group, key: str) -> float | None:
    """The sum of a value over all iterations up to the budget and all seeds; None if an iteration lacks it."""
    values = [line.get(key) for lines in _lines(result, group) for line in lines]
    known = [value for value in values if value is not None]
    return float(sum(known)) if len(known) == len(values) else None


def _mean(result: AtBudget, group: Group, key: str) -> float | None:
    """The mean over the seeds of the last defined value up to the budget; None if no seed has such a value."""
    lasts = [
        next((line[key] for line in reversed(lines) if line.get(key) is not None), None)
        for lines in _lines(result, group)
    ]
    known = [value for value in lasts if value is not None]
    return fmean(known) if known else None


def _lines(result: AtBudget, group: Group) -> list[list[Mapping[str, Any]]]:
    """The records up to the budget, of each compared seed."""
    return [
        [line for line in trial.lines if line["interactions"] <= result.budget]
        for seed, trial in by_seed(group).items()
        if result.seeds is None or seed in result.seeds
    ]
