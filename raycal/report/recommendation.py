"""Which group reaches a given accuracy for the fewest interactions, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from raycal.report.comparison import RANDOM, Comparison, by_seed, is_whole_pool, same_seeds
from raycal.report.estimate import Estimate, estimate, number
from raycal.report.group_figures import final_accuracies
from raycal.report.paired import paired_test
from raycal.report.runs import Group
from raycal.report.targets import Reached, reach

FRACTIONS = (0.90, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer for one target accuracy on one dataset.

    Attributes:
        target: In words.
        accuracy: None: nothing finished.
        group: That reaches it in all of its seeds for the fewest interactions in the mean; None: no group does.
        interactions: It needs; never below 0.
        saving: Interactions saved against `random` in percent, over the seeds that both finished.
        saving_is_bound: At least so many, as `random` did not reach the accuracy in every seed.
        rivals: Groups that it cannot be told from: the interval of the paired difference includes 0, or there is none.
        answer: All this in words.
    """

    dataset: str
    target: str
    accuracy: float | None
    group: Group | None
    interactions: Estimate | None
    saving: Estimate | None
    saving_is_bound: bool
    rivals: tuple[Group, ...]
    answer: str


def recommend(comparison: Comparison) -> list[Recommendation]:
    """An answer for each target: shares of full supervision, or without it of the best final accuracy."""
    return [_recommend(comparison, fraction) for fraction in FRACTIONS]


def _recommend(comparison: Comparison, fraction: float) -> Recommendation:
    supervised = [group for group in comparison.groups if is_whole_pool(group)]
    reference, best = "full supervision", _best_accuracy(supervised)
    if best is None:
        reference, best = "the best final accuracy", _best_accuracy(comparison.candidates)
    target = f"{fraction:.0%} of {reference}".replace("%", " %", 1)
    if best is None:
        return _none(comparison, target, None, f"{comparison.dataset}: no trial finished, so nothing is recommended.")
    accuracy = fraction * best
    goal = f"{number(accuracy)} ({target})"
    found = [(group, reach(group, accuracy)) for group in comparison.candidates if group.finished]
    sure = [(group, reached) for group, reached in found if reached.by_all]
    if not sure:
        closest = max(found, key=lambda pair: pair[1].reached / len(pair[1].by_seed), default=None)
        answer = f"{comparison.dataset}: no group reaches {goal} in every seed"
        if closest and closest[1].reached:
            answer += f"; {closest[0].label} does in {closest[1].reached} of {len(closest[1].by_seed)}"
        return _none(comparison, target, accuracy, f"{answer}.")
    group, reached = min(sure, key=lambda pair: _mean(pair[1]))
    interactions = _not_below_zero(reached.estimate)
    rivals = tuple(other for other, theirs in sure if other is not group and not _is_fewer(reached, theirs))
    saving, is_bound = _saving(comparison, group, accuracy)
    clauses = [
        f"{comparison.dataset}: {group.label} reaches {goal} for the fewest interactions: "
        f"{'at most ' if reached.at_most else ''}{interactions}"
    ]
    if saving:
        ends = "" if saving.low is None else f" [{saving.low:.1f}, {saving.high:.1f}]"
        clauses.append(f"{'at least ' if is_bound else ''}{saving.mean:.1f}{ends} % fewer than {RANDOM}")
    if rivals:
        names = ", ".join(rival.label for rival in rivals)
        clauses.append(f"not distinguishable from {names} with {_seeds(len(group.finished))}")
    elif len(group.finished) == 1:
        clauses.append("from one seed, so chance is not ruled out")
    return Recommendation(
        dataset=comparison.dataset,
        target=target,
        accuracy=accuracy,
        group=group,
        interactions=interactions,
        saving=saving,
        saving_is_bound=is_bound,
        rivals=rivals,
        answer=f"{'; '.join(clauses)}.",
    )


def _none(comparison: Comparison, target: str, accuracy: float | None, answer: str) -> Recommendation:
    return Recommendation(
        dataset=comparison.dataset,
        target=target,
        accuracy=accuracy,
        group=None,
        interactions=None,
        saving=None,
        saving_is_bound=False,
        rivals=(),
        answer=answer,
    )


def _best_accuracy(groups: Sequence[Group]) -> float | None:
    """The highest mean final accuracy."""
    return max((found.mean for group in groups if (found := final_accuracies(group))), default=None)


def _mean(reached: Reached) -> float:
    return fmean(value for value in reached.by_seed.values() if value is not None)


def _is_fewer(ours: Reached, theirs: Reached) -> bool:
    """Whether the interval of the paired differences excludes that the others need as few or fewer."""
    pairs = [(value, ours.by_seed.get(seed)) for seed, value in theirs.by_seed.items()]
    both = [(other, own) for other, own in pairs if other is not None and own is not None]
    difference = paired_test([other for other, _ in both], [own for _, own in both]).difference
    return difference is not None and difference.low is not None and difference.low > 0


def _saving(comparison: Comparison, group: Group, accuracy: float) -> tuple[Estimate | None, bool]:
    """Percent fewer than `random`, and whether that is a lower bound: where it is not reached its end counts."""
    random = comparison.setting_of(group).groups.get(RANDOM)
    if random is None or random is group:
        return None, False
    ours, theirs = reach(group, accuracy).by_seed, reach(random, accuracy).by_seed
    savings, is_bound = [], False
    for seed in same_seeds([group, random]):
        own, other = ours[seed], theirs[seed]
        if other is None:
            other, is_bound = by_seed(random)[seed].lines[-1]["interactions"], True
        if own is not None and other:
            savings.append(100 * (1 - own / other))
    found = estimate(savings)
    # An interval of lower bounds would be taken for one of the saving.
    return (replace(found, low=None, high=None) if found and is_bound else found), is_bound


def _not_below_zero(found: Estimate | None) -> Estimate | None:
    return replace(found, low=max(0.0, found.low)) if found and found.low is not None else found


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
