"""Recommends the group that reaches a given accuracy with the fewest interactions, and says how certain that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, inf
from statistics import fmean

from raycal.report.runs import Group
from raycal.report.stats.comparison import RANDOM, Comparison, by_seed, is_whole_pool, same_seeds
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import advice, guessing_level, is_guessing
from raycal.report.stats.paired import paired_test
from raycal.report.stats.targets import Reached, both_reach_first, reach

PERCENTS = (90, 95, 99)
NAMED = 2  # rivals named in a sentence; the table names all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The answer for one target accuracy on one dataset.

    Attributes:
        target: The target accuracy in words.
        accuracy: The target accuracy as a number; None: no trial finished.
        group: The group that reaches the accuracy in all of its seeds with the fewest interactions on average; None: no
            group reaches it in all of its seeds.
        interactions: The whole number of interactions that the group needs.
        saving: The interactions saved compared with `random`, in percent, over the seeds that both finished.
        saving_is_bound: Whether `saving` is a lower bound, because `random` did not reach the accuracy in every seed.
        rivals: Other groups that reach the accuracy in all of their seeds and cannot be distinguished from `group`: the
            interval of the paired difference includes 0, or there is no interval. They are ordered by their mean
            number of interactions, fewest first.
        answer: The recommendation in words.
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
    """One answer per target accuracy, which is a percentage of the accuracy of full supervision.

    Without full supervision, it is a percentage of the best final accuracy. Nothing is recommended for a target that
    guessing may reach. If guessing may reach all targets, all answers are the same sentence.
    """
    answers = [_recommend(comparison, percent) for percent in PERCENTS]
    level = guessing_level(comparison)
    if level is None or not all(
        answer.accuracy is not None and is_guessing(answer.accuracy, level) for answer in answers
    ):
        return answers
    best = _best_accuracy(comparison.groups) or 0.0
    if is_guessing(best, level):
        why = f"no scenario learned: the best final accuracy is {best:.3f}, and guessing reaches up to {level:.3f} here"
    else:
        targets = f"{answers[0].accuracy:.3f} to {answers[-1].accuracy:.3f}"
        why = f"no target accuracy ({targets}) is above what guessing reaches here, which is up to {level:.3f}"
    answer = f"{comparison.dataset}: {why}; so nothing is recommended. What to do: {advice(level)}."
    return [replace(recommendation, answer=answer) for recommendation in answers]


def goal(comparison: Comparison, percent: int) -> tuple[str, float | None]:
    """The target in words, and its accuracy; the accuracy is None if no trial finished."""
    supervised = [group for group in comparison.groups if is_whole_pool(group)]
    reference, best = "full supervision", _best_accuracy(supervised)
    if best is None:
        reference, best = "the best final accuracy", _best_accuracy(comparison.advisable)
    return f"{percent} % of {reference}", None if best is None else percent / 100 * best


def _recommend(comparison: Comparison, percent: int) -> Recommendation:
    target, accuracy = goal(comparison, percent)
    if accuracy is None:
        return _none(comparison, target, None, f"{comparison.dataset}: no trial finished, so nothing is recommended.")
    wanted = f"{comparison.dataset}, accuracy {accuracy:.3f} ({target})"
    level = guessing_level(comparison)
    if level is not None and is_guessing(accuracy, level):
        why = f"guessing reaches up to {level:.3f} here, so nothing is recommended for this target"
        return _none(comparison, target, accuracy, f"{wanted}: {why}.")
    reached_by_group = [(group, reach(group, accuracy)) for group in comparison.advisable if group.finished]
    sure = [(group, reached) for group, reached in reached_by_group if reached.by_all]
    if not sure:
        closest = max(reached_by_group, key=lambda pair: pair[1].reached / len(pair[1].by_seed), default=None)
        answer = f"{wanted}: no scenario reaches it"
        if closest and closest[1].reached:
            group, reached = closest
            answer += f" in every seed; {group.label} reaches it in {reached.reached} of {len(reached.by_seed)} seeds"
        return _none(comparison, target, accuracy, f"{answer}.")
    (group, reached), *others = sorted(sure, key=lambda pair: _mean(pair[1]))
    rivals = tuple(other for other, theirs in others if not _is_fewer(reached, theirs))
    saving, is_bound = _saving(comparison, group, accuracy)
    at_most = "at most " if reached.at_most else ""
    clauses = [f"{wanted}: {group.label} needs the fewest interactions, {at_most}{reached.estimate}"]
    if saving:
        ends = "" if saving.low is None else f" [{saving.low:.0f}, {saving.high:.0f}]"
        clauses.append(f"at least {floor(saving.mean)}" if is_bound else f"{saving.mean:.0f}{ends}")
        clauses[-1] += f" % fewer than {RANDOM}"
    if len(group.finished) == 1:
        clauses.append("one seed, so chance is not ruled out")
    elif rivals:
        clauses.append(f"no significant difference from {_names(rivals)}")
    return Recommendation(
        dataset=comparison.dataset,
        target=target,
        accuracy=accuracy,
        group=group,
        interactions=reached.estimate,
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
    """The highest mean final accuracy of the groups; None if no trial finished."""
    return max((estimated.mean for group in groups if (estimated := final_accuracies(group))), default=None)


def _mean(reached: Reached) -> float:
    return fmean(value for value in reached.by_seed.values() if value is not None)


def _is_fewer(ours: Reached, theirs: Reached) -> bool:
    """Whether `ours` needs significantly fewer interactions: the interval of the paired differences lies above 0."""
    pairs = [(value, ours.by_seed.get(seed)) for seed, value in theirs.by_seed.items()]
    known = [(other, our) for other, our in pairs if other is not None and our is not None]
    difference = paired_test([other for other, _ in known], [our for _, our in known]).difference
    return difference is not None and difference.low is not None and difference.low > 0


def _saving(comparison: Comparison, group: Group, accuracy: float) -> tuple[Estimate | None, bool]:
    """The percentage of interactions saved compared with `random`, and whether it is a lower bound.

    In a seed where `random` did not reach the accuracy, all of its interactions count, so the saving is a lower bound.
    Seeds in which both had the accuracy at their first evaluation are left out, because their saving is unknown.
    """
    random = comparison.condition_group_of(group).groups.get(RANDOM)
    if random is None or random is group:
        return None, False
    ours, theirs = reach(group, accuracy).by_seed, reach(random, accuracy).by_seed
    savings, is_bound, known = [], False, True
    for seed in same_seeds([group, random]):
        needed, by_random = ours[seed], theirs[seed]
        if both_reach_first(by_seed(group)[seed].lines, by_seed(random)[seed].lines, accuracy):
            known = False
            continue
        if by_random is None:
            by_random, is_bound = by_seed(random)[seed].lines[-1]["interactions"], True
        if needed is not None and by_random:
            savings.append(100 * (1 - needed / by_random))
    saving = estimate(savings)
    saving = saving and saving.within(-inf, 100.0)  # no more than 100 % can be saved
    # Readers would mistake an interval over lower bounds, or over only some seeds, for the interval of the saving.
    return (replace(saving, low=None, high=None) if saving and (is_bound or not known) else saving), is_bound


def _names(groups: Sequence[Group]) -> str:
    names = ", ".join(group.label for group in groups[:NAMED])
    return f"{names} and {len(groups) - NAMED} more" if len(groups) > NAMED else names
