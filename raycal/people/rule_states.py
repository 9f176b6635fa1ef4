"""What each stopping rule says after a round, as a sentence with the figures that it rests on."""

from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from raycal.errors import counted
from raycal.people.paired import PairedGain, paired_interval
from raycal.people.stable import FEWEST_SAMPLES, stable_predictions
from raycal.people.stopping import Rule, StopRules
from raycal.storage.predictions import HoldoutPredictions

# The largest hold-out that is considered.
MOST_SAMPLES = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """A stopping rule after the newest round.

    Attributes:
        holds: Whether the rule suggests to stop.
        text: What the rule says, as a sentence.
    """

    rule: Rule
    holds: bool
    text: str


def rule_states(
    rules: StopRules,
    *,
    low: float | None,
    gains: Sequence[PairedGain | None],
    predictions: Sequence[HoldoutPredictions | None],
    minutes: float,
    samples_left: int,
    noun: str,
) -> tuple[RuleState, ...]:
    """The rules that are in force, in the order in which they are followed.

    Args:
        low: The lower end of the interval of the accuracy. None if it is not known.
        gains: The comparison of each round with the round before. None if it is not known.
        predictions: What the model of each round predicts for the hold-out. None if that was not kept.
        minutes: The time that the answers of all rounds took.
        samples_left: The number of samples of the pool that have no label of their own.
        noun: The word for one sample.
    """
    size = max((len(one.predicted) for one in predictions if one is not None), default=0)
    states = [] if rules.target is None else [_target(rules.target, low)]
    states.append(_worth(rules.worth, gains, size, noun))
    if rules.stable is not None:
        holds, text = stable_predictions(predictions, rules.stable, noun)
        states.append(RuleState(rule=Rule.STABLE, holds=holds, text=text))
    if rules.minutes is not None:
        text = f"The rounds took {minutes:,.1f} of the planned {rules.minutes:,g} minutes."
        states.append(RuleState(rule=Rule.MINUTES, holds=minutes >= rules.minutes, text=text))
    if not samples_left:
        states.append(RuleState(rule=Rule.POOL, holds=True, text=f"No {noun} is left to ask about."))
    return tuple(states)


def out_of_reach(rules: StopRules, chosen: Container[str], size: int, noun: str) -> Iterator[str]:
    """Say which rules can never hold, because the hold-out is too small for them.

    Args:
        chosen: The names of the rules that the project file sets. The others are silent, as nobody asked for them.
        size: The number of samples in the hold-out.
        noun: The word for one sample.
    """
    needed = {"worth": (rules.worth, _least_size(rules.worth)), "stable": (rules.stable, FEWEST_SAMPLES)}
    for name, (value, least) in needed.items():
        if name in chosen and value is not None and size < least:
            few = f"the hold-out has {size:,} {noun}s; it needs {least:,}"
            yield f"warning: stop: {name}: {value:g}: can never hold, because {few}"


def _least_size(worth: float) -> int:
    """The size of the smallest hold-out with which the rule `worth` can hold, at most `MOST_SAMPLES`.

    The interval of a gain is narrowest if both models are right about the same half of the samples.
    """
    sizes = range(2, MOST_SAMPLES)
    can_hold = bisect_left(sizes, True, key=lambda size: paired_interval(size // 2, 0, 0, size - size // 2)[1] <= worth)
    return 2 + can_hold


def _target(target: float, low: float | None) -> RuleState:
    holds = low is not None and low >= target
    goal = f"the target of {_percent(target)}"
    if low is None:
        text = f"The accuracy is to reach {goal}, and is not known yet."
    else:
        text = f"The accuracy is at least {_percent(low)}, and {goal} is {'' if holds else 'not '}reached."
    return RuleState(rule=Rule.TARGET, holds=holds, text=text)


def _worth(worth: float, gains: Sequence[PairedGain | None], size: int, noun: str) -> RuleState:
    """The rule `worth`, for a hold-out of a known size; 0 if it is not known."""
    last_two = [gain for gain in gains[-2:] if gain is not None]
    holds = len(last_two) == 2 and all(max(-gain.low, gain.high) <= worth for gain in last_two)
    most = f"{100 * worth:g} point{'' if worth == 0.01 else 's'}"
    text = f"It is not certain that each of the last two rounds changed the accuracy by at most {most}."
    if 0 < size < _least_size(worth):
        few = f"the hold-out has {counted(size, noun)}"
        text = f"This rule cannot hold, because {few}, and with so few no change as small as {most} is certain."
    elif len(gains) < 3:
        text = "This rule compares two rounds with the rounds before them, so it can hold from round 3 on."
    elif holds:
        text = f"Each of the last two rounds changed the accuracy by at most {most}."
    return RuleState(rule=Rule.WORTH, holds=holds, text=text)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
