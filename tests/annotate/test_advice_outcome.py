"""Tests how simulated trials are compared in the same time of people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from raycal.algorithm.scenario import SCENARIOS
from raycal.annotate.advice.outcome import Period, PolicyTrials, accuracy_at, best_of, outcomes, period_of, seconds_to
from raycal.annotate.advice.policies import Policy

NOW = Policy(scenario=SCENARIOS["cluster+uncertain"])
RANDOM = Policy(scenario=SCENARIOS["random"])
CLUSTERS = Policy(scenario=SCENARIOS["cluster-only"])
GUESSING = 0.1
# In this period, a straight line from guessing to an end after 200 s has three quarters of its gain on average.
PERIOD = Period(begin=100, end=200, guessing=GUESSING)


def lines(*points: tuple[float, float]) -> Any:
    return [{"human_seconds": seconds, "test_accuracy": accuracy} for seconds, accuracy in points]


def trials(policy: Policy, ends: Sequence[float], seconds: float = 200) -> PolicyTrials:
    """One trial per accuracy at the end, which is reached by a straight line from guessing."""
    return PolicyTrials(
        policy=policy, lines={seed: lines((seconds, accuracy)) for seed, accuracy in enumerate(ends, 2)}
    )


@pytest.mark.parametrize(
    ("seconds", "accuracy"), [(0, 0.1), (50, 0.3), (100, 0.5), (150, 0.6), (200, 0.7), (1000, 0.7)]
)
def test_accuracy_at_a_time(seconds: float, accuracy: float) -> None:
    assert accuracy_at(lines((100, 0.5), (200, 0.7)), seconds, GUESSING) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("target", "seconds"), [(0.05, 0), (0.3, 50), (0.5, 100), (0.6, 275), (0.7, 300), (0.71, None)]
)
def test_time_to_an_accuracy(target: float, seconds: float | None) -> None:
    found = seconds_to(lines((100, 0.5), (250, 0.5), (300, 0.7)), target, GUESSING)

    assert found == (None if seconds is None else pytest.approx(seconds))


def test_period_ends_with_the_shortest_trial_of_the_current_policy() -> None:
    current = PolicyTrials(policy=NOW, lines={0: lines((100, 0.5), (200, 0.6)), 1: lines((90, 0.5), (180, 0.6))})

    assert period_of(current, GUESSING) == Period(begin=100, end=180, guessing=GUESSING)
    assert period_of(trials(NOW, [0.5], seconds=60), GUESSING) == Period(begin=30, end=60, guessing=GUESSING)


def test_accuracy_is_averaged_over_the_period() -> None:
    period = Period(begin=100, end=200, guessing=GUESSING)

    assert period.average(lines((50, 0.5), (150, 0.7), (300, 0.7))) == pytest.approx((0.65 + 0.7) / 2)
    # The line from guessing to the first evaluation counts, too.
    assert period.average(lines((400, 0.9))) == pytest.approx((0.3 + 0.5) / 2)
    # A trial that ends early keeps its accuracy.
    assert period.average(lines((60, 0.4))) == pytest.approx(0.4)


def test_best_policies_and_the_best_habit_are_compared() -> None:
    habits = [replace(NOW, threshold=0.7), replace(NOW, threshold=0.9)]
    tried = [
        trials(NOW, [0.5, 0.5]),
        trials(RANDOM, [0.8, 0.9]),
        trials(CLUSTERS, [0.9, 0.9]),
        trials(habits[0], [0.3, 0.3]),
        trials(habits[1], [0.4, 0.4]),
    ]

    assert best_of(tried, tried[0], PERIOD, 2) == [CLUSTERS, RANDOM, habits[1]]
    assert best_of(tried, tried[0], PERIOD, 3) == [CLUSTERS, RANDOM, habits[1]]
    assert best_of(tried[:3], tried[0], PERIOD, 1) == [CLUSTERS]


def test_outcomes_are_paired_by_seed() -> None:
    now = trials(NOW, [0.50, 0.60, 0.55, 0.52, 0.58])
    better = trials(CLUSTERS, [0.55, 0.66, 0.60, 0.56, 0.63])
    same = trials(RANDOM, [0.60, 0.50, 0.52, 0.58, 0.57])

    found = outcomes([now, same, better], now, PERIOD, num_measured=250)

    assert [one.policy for one in found] == [NOW, CLUSTERS, RANDOM]
    assert found[0].versus_current is None
    assert not found[0].is_better
    assert found[0].accuracy.mean == pytest.approx(0.55)
    assert found[0].gain.mean == pytest.approx(0.45)
    # The five accuracies have the variance 0.0017, and the quantile of t is 2.7764. An accuracy of 0.55 that was
    # measured on 250 samples has the variance 0.00099.
    half = 2.7764 * (1.2 * 0.0017 + 0.00099) ** 0.5
    assert (found[0].accuracy.low, found[0].accuracy.high) == pytest.approx((0.55 - half, 0.55 + half), abs=1e-5)
    assert (found[0].gain.low, found[0].gain.high) == pytest.approx((0.45 - half, 0.45 + half), abs=1e-5)
    test = found[1].versus_current
    assert test is not None
    assert test.difference is not None
    assert test.t_p is not None
    assert test.difference.mean == pytest.approx(0.75 * 0.05)
    assert found[1].p == pytest.approx(2 * test.t_p)  # Holm's correction for two comparisons
    assert found[1].is_better
    assert not found[2].is_better
    # The accuracy 0.55 is reached on the line from (0 s, 0.1) to (200 s, the accuracy at the end).
    assert found[1].seconds_to_target is not None
    times = [200 * 0.45 / (end - 0.1) for end in (0.55, 0.66, 0.60, 0.56, 0.63)]
    assert found[1].seconds_to_target.mean == pytest.approx(sum(times) / 5)
    assert found[2].seconds_to_target is None


def test_worse_policy_is_not_better_however_clear_the_difference_is() -> None:
    now, worse = trials(NOW, [0.5, 0.6, 0.55]), trials(RANDOM, [0.4, 0.51, 0.45])

    found = outcomes([now, worse], now, PERIOD, num_measured=250)[1]

    assert found.p is not None
    assert found.p < 0.01
    assert not found.is_better
