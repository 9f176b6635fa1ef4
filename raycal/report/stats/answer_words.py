"""The sentences of the answer, written for readers who do not know raycal."""

from collections.abc import Iterator, Sequence
from math import floor

from raycal.report.runs import Group
from raycal.report.stats.at_budget import AtBudget, Margin, Standing, finished_curves
from raycal.report.stats.common_accuracy import CommonAccuracy
from raycal.report.stats.comparison import by_seed
from raycal.report.stats.curves import final_accuracy
from raycal.report.stats.estimate import Estimate, number
from raycal.report.stats.group_summary import final_accuracies
from raycal.report.stats.guessing import advice
from raycal.report.stats.reasons import named_margins, reason
from raycal.report.stats.recommendation import Recommendation
from raycal.report.stats.targets import Reached

NAMED = 2  # A list has at most this many names; the remaining names are counted.
ONE_SEED = "This comparison rests on one seed, and one seed cannot tell differences of a few percent apart."


def start(on: str, sentence: str) -> str:
    """Begin a sentence that is written in lower case, after the name of the dataset if there is one."""
    return on + sentence if on else sentence[0].upper() + sentence[1:]


def listed(names: Sequence[str], conjunction: str = "and") -> str:
    """A list of names for a sentence. A list longer than `NAMED + 1` ends with the number of the names left out."""
    if len(names) > NAMED + 1:
        names = [*names[:NAMED], f"{len(names) - NAMED} others"]
        conjunction = "and"
    return _joined(names, conjunction)


def _joined(items: Sequence[str], conjunction: str = "and") -> str:
    return f" {conjunction} ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def winner(result: AtBudget) -> str:
    """Which group wins at the budget, by how much, and why."""
    if result.tied:
        return _tie(result)
    best = result.winner
    clear = [margin for margin in named_margins(result) if not margin.is_unclear]
    unclear = [margin for margin in named_margins(result) if margin.is_unclear]
    interval = _Intervals()
    sentence = f"{_after(result)}, {best.group.label} has the highest accuracy, {best.accuracy.mean:.3f}"
    sentence += _over_seeds(result, best)
    if clear:
        sentence += ": " + _joined(
            [
                f"{_amount(margin)} more than {_role(result, margin.over)}{interval(margin.difference)}"
                for margin in clear
            ]
        )
    if unclear:
        items = ", or from ".join(
            f"{_role(result, margin.over)}, which has {_amount(margin)} less"
            f"{interval(margin.difference, ' of the difference')}"
            for margin in unclear
        )
        sentence += f", but the seeds cannot tell it apart from {items}"
    if why := reason(result):
        sentence += f"; {why.words}"
    return " ".join((f"{sentence}.", *_doubts(result)))


def alone(result: AtBudget) -> str:
    """The accuracy of the only strategy that has finished."""
    only = result.winner
    seeds = _over_seeds(result, only, and_=_interval(only.accuracy)) or " (one seed)"
    return f"{_after(result)}, {only.group.label} has an accuracy of {only.accuracy.mean:.3f}{seeds}."


def nobody_learned(result: AtBudget, level: float, even: float | None) -> str:
    """The sentence that no strategy is better than guessing, and what to do about it."""
    best = result.winner
    return (
        f"{_after(result)}, no strategy is better than guessing: the highest accuracy is {best.accuracy.mean:.3f}, of "
        f"{best.group.label}, and guessing reaches up to {level:.3f} on these test images. So there is no winner. "
        f"What to do: {advice(level, even)}."
    )


def separate_ranges(groups: Sequence[Group]) -> str:
    """Which group ended before another one was first evaluated."""
    curves = [(label, curve) for label, own in finished_curves(groups).items() for curve in own.values()]
    if not curves:
        return "no finished trial has an accuracy"
    early, first = min(curves, key=lambda pair: pair[1].interactions[-1])
    late, second = max(curves, key=lambda pair: pair[1].interactions[0])
    ended, begun = number(float(first.interactions[-1])), number(float(second.interactions[0]))
    return f"{early} ended after {ended}, and {late} was first evaluated after {begun}"


def common(found: CommonAccuracy) -> str:
    """Which strategy needed fewer interactions for the highest accuracy that two strategies reached."""
    first, second = found.fewest, found.other
    ours, theirs = found.fewest_needed, found.other_needed
    what = "settings" if first.scenario == second.scenario else "strategies"
    in_seeds = " in every seed" if max(len(ours.by_seed), len(theirs.by_seed)) > 1 else ""
    begin = f"The highest accuracy that at least two {what} reached{in_seeds} is {found.accuracy:.3f}"
    assert ours.estimate is not None
    assert theirs.estimate is not None
    us, them = number(ours.estimate.mean), number(theirs.estimate.mean)
    most = "at most " if ours.at_most else ""
    if found.is_unknown:
        who = f"in at least one seed {second.label}" if in_seeds else "both" if ours.at_most else second.label
        return (
            f"{begin}: {first.label} needed {most}{us} interactions, and {second.label} at most {them}. It is unknown "
            f"which of them needs fewer, because {who} had it when first evaluated."
        )
    if us == them:
        return f"{begin}: {first.label} and {second.label} both needed {us} interactions."
    text = f"{begin}: {first.label} needed {most}{us} interactions, and {second.label} {them}"
    if found.factor is None:
        return f"{text}."
    times, low, high = found.factor.mean, found.factor.low, found.factor.high
    ends = "" if low is None or high is None else f"95 % interval {_times(low)} to {_times(high)}"
    if found.is_unclear:
        return f"{text}; the seeds cannot tell the two apart ({_times(times)} times as many, {ends})."
    if most:  # The factor and its interval are lower bounds.
        return f"{text}, which is at least {_times(floor(100 * times) / 100)} times as many."
    return f"{text}, which is {_times(times)} times as many{f' ({ends})' if ends else ''}."


def _times(factor: float) -> str:
    return f"{factor:.2f}" if factor < 10 else f"{factor:.1f}"


def targets(found: Sequence[Recommendation]) -> Iterator[str]:
    """Yield one text per target; all targets that no strategy reached in every seed have the same text."""
    lowest = next((target for target in found if target.group is None), None)
    for target in found:
        yield _reached(target) if lowest is None or target.group is not None else _not_reached(lowest)


def _reached(target: Recommendation) -> str:
    assert target.group is not None
    assert target.needed is not None
    assert target.needed.estimate is not None
    needed, most = target.needed.estimate, "at most " if target.needed.at_most else ""
    ends = "" if needed.low is None or needed.high is None else f" (95 % interval {needed.low:,} to {needed.high:,})"
    count = f"{most}{number(needed.mean)}"
    wanted = f"{target.percent} % of that, {target.accuracy:.3f}"
    if target.num_reached == 1:
        in_seeds = ", in every seed" if len(target.needed.by_seed) > 1 else ""
        text = f"Only {target.group.label} reached {wanted}{in_seeds}: it needed {count} interactions{ends}"
    else:
        text = f"For {wanted}, {target.group.label} needed the fewest interactions, {count}{ends}"
        if target.rivals:
            text += f"; the seeds cannot tell it apart from {listed([rival.label for rival in target.rivals])}"
    if target.random is not None and target.random_needed is not None:
        text += f"; {_random(target.random, target.random_needed)}"
    return f"{text}."


def _random(group: Group, needed: Reached) -> str:
    """How many interactions random labels needed for an accuracy or, if they did not reach it, which accuracy they
    reached."""
    if needed.by_all:
        assert needed.estimate is not None
        return f"{group.label} needed {'at most ' if needed.at_most else ''}{number(needed.estimate.mean)}"
    if needed.reached:
        return f"{group.label} reached it in {needed.reached} of {len(needed.by_seed)} seeds"
    final = final_accuracies(group)
    assert final is not None
    last = max(
        line["interactions"]
        for trial in by_seed(group).values()
        if final_accuracy(trial.lines) is not None
        for line in trial.lines
    )
    return f"{group.label} had {final.mean:.3f} after {number(last)} interactions"


def _not_reached(target: Recommendation) -> str:
    text = f"No strategy reached {target.percent} % of that, {target.accuracy:.3f}"
    if target.closest is not None:
        group, reached = target.closest
        text += f", in every seed; {group.label} did in {reached.reached} of {len(reached.by_seed)} seeds"
    return f"{text}."


def _tie(result: AtBudget) -> str:
    best = result.winner
    names = listed([best.group.label, *(group.label for group in result.tied)])
    tie = result.margins[0].difference
    varies = _interval(tie, " of the difference") if len(result.tied) == 1 and tie.low != tie.high else ""
    text = f"{_after(result)}, {names} have the same accuracy, {best.accuracy.mean:.3f}"
    text += _over_seeds(result, best, and_=varies)
    interval = _Intervals()
    rest = [margin for margin in result.margins if all(margin.over is not group for group in result.tied)]
    shown = [margin for margin in rest if margin is rest[0] or margin.over is result.random]
    text += "".join(
        f"; {margin.over.label} has {_amount(margin)} less{interval(margin.difference, ' of the difference')}"
        + (", so the seeds cannot tell it apart from them" if margin.is_unclear else "")
        for margin in shown
    )
    one = [ONE_SEED] if not all(margin.has_interval for margin in result.margins) else []
    return " ".join((f"{text}.", *one))


def _doubts(result: AtBudget) -> Iterator[str]:
    """Yield sentences about groups that the seeds cannot tell apart, apart from the groups of the margins that are
    named already."""
    named = named_margins(result)
    rivals = [margin for margin in result.margins if margin.is_unclear]
    others = [margin.over.label for margin in rivals if all(margin is not other for other in named)]
    if others:
        nor = "Nor can they tell" if any(margin.is_unclear for margin in named) else "The seeds cannot tell"
        yield f"{nor} it apart from {listed(others, 'or')}."
    without = [margin for margin in named if not margin.has_interval]
    if len(without) == len(named):
        yield ONE_SEED
    elif without:
        names = listed([margin.over.label for margin in without])
        yield f"There is only one seed of {names}, and one seed cannot tell differences of a few percent apart."


def _after(result: AtBudget) -> str:
    """The budget: "after 100 human interactions"."""
    budget = number(result.budget)
    every = "" if result.is_end_of_all else ", the most that all strategies made"
    return f"after {budget} human interactions{every}"


def _over_seeds(result: AtBudget, standing: Standing, and_: str = "") -> str:
    """The number of seeds of the means, and a further remark, in parentheses; empty for one seed without a remark."""
    count = standing.accuracy.n
    words = f"mean of {count} seeds" if count > 1 else ""
    if result.seeds is not None and not result.all_seeds:
        words = f"mean of the {count} seeds" if count > 1 else "in the only seed"
        words += " that all strategies finished"
    remarks = ", ".join(filter(None, (words, and_)))
    return f" ({remarks})" if remarks else ""


def _amount(margin: Margin) -> str:
    """The size of a margin, without its sign; the words that follow it say `more` or `less`."""
    size = abs(margin.difference.mean)
    return "less than 0.001" if size < 0.0005 else f"{size:.3f}"


def _role(result: AtBudget, group: Group) -> str:
    """The name of a group, with its role in the comparison."""
    is_second = bool(result.margins) and result.margins[0].over is group
    return f"the runner-up {group.label}" if is_second and len(result.margins) > 1 else group.label


def _interval(estimated: Estimate, of: str = "") -> str:
    if estimated.low is None or estimated.high is None:
        return ""
    return f"95 % interval{of} {estimated.low:.3f} to {estimated.high:.3f}"


class _Intervals:
    """Writes the intervals of one sentence in parentheses; only the first one says that it is a 95 % interval."""

    def __init__(self) -> None:
        self._is_first = True

    def __call__(self, estimated: Estimate, of: str = "") -> str:
        words = _interval(estimated, of)
        if words and not self._is_first:
            words = words.removeprefix(f"95 % interval{of} ")
        self._is_first = self._is_first and not words
        return f" ({words})" if words else ""
