"""The advice in sentences, and as lines for a project file."""

from collections.abc import Iterator, Sequence

from raycal.annotate.advice.mistakes import FEWEST_PAIRS, ErrorRate
from raycal.annotate.advice.outcome import Outcome
from raycal.annotate.advice.policies import Policy, project_settings
from raycal.annotate.advice.simulation import Simulation
from raycal.errors import counted
from raycal.report.stats.estimate import Estimate


def name_of(policy: Policy, current: Policy, noun: str = "image") -> str:
    """The words for a policy: the scenario, and what is different from the current policy."""
    words = []
    if policy.scenario.forms_clusters:
        different = current.changes(policy)
        if "num_clusters" in different:
            words.append(
                "one cluster per question" if policy.num_clusters is None else f"{policy.num_clusters} clusters"
            )
        if "threshold" in different:
            words.append(f"clusters labeled from {policy.threshold:.0%} alike")
        if "shown" in different:
            words.append(f"{policy.shown} {noun}s of a cluster shown")
        if "on_refusal" in different:
            words.append("mixed clusters split" if policy.on_refusal == "split" else "mixed clusters not split")
    return policy.scenario.name + (f" ({', '.join(words)})" if words else "")


def error_words(rate: ErrorRate, noun: str = "image") -> str:
    """What is known about the errors of the team."""
    if rate.rate is None or rate.low is None or rate.high is None:
        few = f"no two people labeled the same {noun} alone"
        if rate.pairs:
            pairs = f"{'is' if rate.pairs == 1 else 'are'} only {counted(rate.pairs, 'pair')}"
            few = f"there {pairs} of labels that two people gave to the same {noun} alone"
        return (
            f"errors of the team: not known, because {few}, and at least {FEWEST_PAIRS} such pairs of labels are "
            "needed; the simulated people make no errors"
        )
    return (
        f"errors of the team: {rate.rate:.1%} of the answers about a single {noun} are probably wrong (95 % interval "
        f"{rate.low:.1%} to {rate.high:.1%}), because in {rate.differing:,} of {rate.pairs:,} pairs of labels that two "
        f"people gave to the same {noun}, the labels differ"
    )


def rounds_words(simulation: Simulation, noun: str = "image") -> str:
    """How long the simulated projects are, compared with the project."""
    config, questions = simulation.config, simulation.questions
    simulated = f"{counted(simulation.rounds, 'round')} of {questions:,} questions"
    planned = f"{counted(config.iterations, 'round')} of {config.interactions_per_iteration:,} questions"
    if simulated == planned:
        words = f"the current policy is simulated for {simulated}, as in this project"
    else:
        words = f"the current policy is simulated for {simulated}, and not for the {planned} of this project"
    if simulation.share_of_pool < 1:
        words += f", whose pool has {1 / simulation.share_of_pool:.1f} times as many {noun}s"
    return (
        f"{words}; the other policies get as many rounds as take people about the same time, so the counts of "
        "iterations below differ"
    )


def outcome_lines(outcomes: Sequence[Outcome], seconds: float, noun: str = "image") -> Iterator[str]:
    """A table with what each policy reaches in the same time.

    Args:
        outcomes: The outcomes, the current policy first.
        seconds: The time of the comparison.
    """
    current = outcomes[0].policy
    names = [name_of(one.policy, current, noun) + (" (as now)" if one is outcomes[0] else "") for one in outcomes]
    width = max(map(len, names))
    for name, one in zip(names, outcomes, strict=True):
        per_minute = one.gain.mean / seconds * 60
        yield (
            f"  {name:{width}}  accuracy {one.accuracy.mean:.3f}{_interval(one.accuracy)}, {_points(one.gain)} points "
            f"more than a constant guess, {100 * per_minute:.2g} points a minute"
        )
        if one.versus_current is not None and one.versus_current.difference is not None:
            p = "" if one.p is None else f", p = {one.p:.2g}"
            difference = _points(one.versus_current.difference)
            yield f"  {'':{width}}  {difference} points compared with now, on average over the time{p}"


def advice_lines(outcomes: Sequence[Outcome], seconds: float, noun: str = "image") -> Iterator[str]:
    """What to do in the next round, and what in a new project.

    Args:
        outcomes: The outcomes, the current policy first and the others by accuracy.
        seconds: The time of the comparison.
    """
    now = outcomes[0]
    better = [one for one in outcomes[1:] if one.is_better]
    if not better:
        yield (
            f"Advice: stay with {now.policy.scenario.name} as it is. No other policy is better by more than chance may "
            "explain."
        )
        return
    at_once = next((one for one in better if one.policy.may_follow(now.policy)), None)
    best = better[0]
    if at_once is not None:
        yield f"Advice for the next round: {' and '.join(_habits(at_once.policy, now.policy, noun))}."
        yield _comparison(at_once, now, seconds, noun)
    if best is not at_once:
        yield (
            f"Advice for a new project: {name_of(best.policy, now.policy, noun)}. A project that has begun accepts "
            "only another number of iterations, so give the new project file another name, and these lines:"
        )
        yield from (f"    {line}" for line in yaml_lines(best.policy, now.policy))
        habits = _habits(best.policy, now.policy, noun)
        if habits:
            yield f"On the page, {' and '.join(habits)}."
        yield _comparison(best, now, seconds, noun)
    if best.policy.scenario.forms_clusters and best.policy.shown != now.policy.shown:
        yield f"The page has no setting for the {noun}s that it shows of a cluster, so people look at fewer themselves."
    if at_once is None:
        yield "For this project, nothing that can be changed now is better by more than chance may explain."


def yaml_lines(policy: Policy, current: Policy) -> list[str]:
    """The settings of a project file that are different under a policy."""
    settings = project_settings(policy, current)
    if not settings:
        return ["# the settings of this project"]
    return [
        "experiment:",
        *(f"  {line}" for key, value in settings.items() for line in _yaml(key, value)),
    ]


def minutes(seconds: float) -> str:
    """A time in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _yaml(key: str, value: object) -> Iterator[str]:
    group, _, name = key.partition(".")
    text = "null" if value is None else str(value)
    yield f"{group}: {{{name}: {text}}}" if name else f"{group}: {text}"


def _habits(policy: Policy, current: Policy, noun: str) -> list[str]:
    """What people do differently on the page."""
    changes, habits = current.changes(policy), []
    if not policy.scenario.forms_clusters:
        return []
    if "threshold" in changes:
        habits.append(f"label a cluster as soon as {policy.threshold:.0%} of the {noun}s shown are alike")
    if "on_refusal" in changes:
        split = policy.on_refusal == "split"
        habits.append("press S (split) for a mixed cluster, and not X" if split else "press X for a mixed cluster")
    if "shown" in changes:
        habits.append(f"look at {policy.shown} {noun}s of a cluster")
    return habits


def _comparison(one: Outcome, now: Outcome, seconds: float, noun: str) -> str:
    assert one.versus_current is not None
    assert one.versus_current.difference is not None
    words = (
        f"{name_of(one.policy, now.policy, noun)}: +{100 * one.gain.mean:.1f} points in {minutes(seconds)} instead of "
        f"+{100 * now.gain.mean:.1f}, and {_points(one.versus_current.difference)} points on average over this time"
    )
    if one.seconds_to_target is not None:
        share = one.seconds_to_target.mean / seconds
        words += f"; it reaches the accuracy of {now.policy.scenario.name} in {share:.2f} of the time"
    return f"{words}."


def _points(value: Estimate) -> str:
    """A difference of accuracies in points, with its interval."""
    interval = ""
    if value.low is not None and value.high is not None:
        interval = f" ({100 * value.low:+.1f} to {100 * value.high:+.1f})"
    return f"{100 * value.mean:+.1f}{interval}"


def _interval(value: Estimate) -> str:
    return "" if value.low is None or value.high is None else f" ({value.low:.3f} to {value.high:.3f})"
