"""What the simulated trials say: the accuracy that each policy reaches in the same time of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from raycal.annotate.advice.policies import Policy
from raycal.report.stats.estimate import Estimate, estimate
from raycal.report.stats.paired import ALPHA, PairedTest, holm, paired_test
from raycal.storage.results import IterationRecord

Lines = Sequence[IterationRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrials:
    """The trials of a policy.

    Attributes:
        lines: The lines of the results by seed.
    """

    policy: Policy
    lines: Mapping[int, Lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy reaches in the time of the comparison.

    Attributes:
        accuracy: The accuracy at the end of this time, among all samples of which the hold-out is a part. The interval
            is that of one project, not that of the mean over the seeds: people have one project, and its course is
            partly chance.
        gain: The accuracy without what the best constant guess reaches, with the interval of one project.
        versus_current: The paired comparison of the accuracy, averaged over the time, with that of the current policy:
            this one minus the current one. None for the current policy itself.
        p: The p-value of this comparison, corrected for the number of compared policies. None if there is no test.
        seconds_to_target: The time until the mean accuracy that the current policy reaches. None unless every seed
            reaches it.
    """

    policy: Policy
    accuracy: Estimate
    gain: Estimate
    versus_current: PairedTest | None
    p: float | None
    seconds_to_target: Estimate | None

    @property
    def is_better(self) -> bool:
        """Whether the policy is better than the current one, and the difference is not explained by chance."""
        difference = None if self.versus_current is None else self.versus_current.difference
        return difference is not None and difference.mean > 0 and self.p is not None and self.p < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time of people in which policies are compared, in seconds.

    Accuracies are averaged from `begin` to `end`, because near its end a project may have learned all that there is to
    learn, whatever the policy was. Before `begin` most policies have no model that was evaluated.

    Attributes:
        guessing: The accuracy of the best constant guess, from which every policy starts.
    """

    begin: float
    end: float
    guessing: float

    def average(self, lines: Lines) -> float:
        """The accuracy of a trial, averaged over the period by the trapezoid rule."""
        inside = [line["human_seconds"] for line in lines if self.begin < line["human_seconds"] < self.end]
        times = [self.begin, *inside, self.end]
        values = [accuracy_at(lines, time, self.guessing) for time in times]
        return float(np.trapezoid(values, times)) / (self.end - self.begin)


def period_of(current: PolicyTrials, guessing: float) -> Period:
    """The period from the longest first round of the current policy to the shortest end of its trials.

    Args:
        current: The trials of the current policy.
        guessing: The accuracy of the best constant guess.
    """
    end = min(lines[-1]["human_seconds"] for lines in current.lines.values())
    begin = max(lines[0]["human_seconds"] for lines in current.lines.values())
    return Period(begin=begin if begin < end else end / 2, end=end, guessing=guessing)


def accuracy_at(lines: Lines, seconds: float, guessing: float) -> float:
    """The accuracy after this time of people.

    It is linear between two evaluations, begins with guessing, and stays as it is after the last evaluation, because a
    trial that ends early has nothing left to ask.
    """
    times = [0.0, *(line["human_seconds"] for line in lines)]
    return float(np.interp(seconds, times, [guessing, *(line["test_accuracy"] for line in lines)]))


def seconds_to(lines: Lines, target: float, guessing: float) -> float | None:
    """The time until an accuracy is reached for the first time. None if it is never reached."""
    before_time, before = 0.0, guessing
    if guessing >= target:
        return 0.0
    for line in lines:
        time, accuracy = line["human_seconds"], line["test_accuracy"]
        if accuracy >= target:
            return before_time + (time - before_time) * (target - before) / (accuracy - before)
        before_time, before = time, accuracy
    return None


def best_of(trials: Sequence[PolicyTrials], current: PolicyTrials, period: Period, number: int) -> list[Policy]:
    """The policies with the highest accuracies, averaged over the period and the seeds, without the current policy.

    They are the best `number` policies, and the best policy to which people can change at once, if it is not among
    them.
    """
    others = sorted(
        (one for one in trials if one.policy != current.policy),
        key=lambda one: fmean(map(period.average, one.lines.values())),
        reverse=True,
    )
    best = [one.policy for one in others[:number]]
    now = [one.policy for one in others if one.policy.may_follow(current.policy)]
    return best + [policy for policy in now[:1] if policy not in best]


def outcomes(
    trials: Sequence[PolicyTrials], current: PolicyTrials, period: Period, *, num_measured: int
) -> list[Outcome]:
    """What each policy reaches in the period, the current policy first, and the others by their average accuracy.

    Args:
        trials: The trials of the policies, including the current one, all with the same seeds.
        current: The trials of the current policy.
        period: The period of the comparison.
        num_measured: The number of samples that measure the accuracy.
    """
    averages = [[period.average(lines) for _, lines in sorted(one.lines.items())] for one in trials]
    at = next(index for index, one in enumerate(trials) if one.policy == current.policy)
    target = fmean(accuracy_at(lines, period.end, period.guessing) for lines in current.lines.values())
    tests = {index: paired_test(values, averages[at]) for index, values in enumerate(averages) if index != at}
    corrected = dict(zip(tests, holm([test.t_p for test in tests.values()]), strict=True))
    found = [
        _outcome(one, period, target, num_measured, tests.get(index), corrected.get(index))
        for index, one in enumerate(trials)
    ]
    best_first = sorted(tests, key=lambda index: -fmean(averages[index]))
    return [found[at], *(found[index] for index in best_first)]


def _outcome(
    one: PolicyTrials, period: Period, target: float, num_measured: int, test: PairedTest | None, p: float | None
) -> Outcome:
    reached = [accuracy_at(lines, period.end, period.guessing) for lines in one.lines.values()]
    accuracy, gain = estimate(reached), estimate([value - period.guessing for value in reached])
    assert accuracy is not None
    assert gain is not None
    # All seeds are measured on the same few samples, which may be easier or harder than others.
    of_samples = accuracy.mean * (1 - accuracy.mean) / num_measured
    times = [seconds_to(lines, target, period.guessing) for lines in one.lines.values()]
    known = [time for time in times if time is not None]
    return Outcome(
        policy=one.policy,
        accuracy=accuracy.of_one_more(of_samples).within(0.0, 1.0),
        gain=gain.of_one_more(of_samples).within(-period.guessing, 1.0 - period.guessing),
        versus_current=test,
        p=p,
        seconds_to_target=estimate(known) if len(known) == len(times) else None,
    )
