from math import sqrt

import pytest
from made_up import Points, runs, seeds

from raycal.report.runs import Trial
from raycal.report.stats.common_accuracy import CommonAccuracy, common_accuracy
from raycal.report.stats.comparison import by_dataset


def found(*trials: Trial) -> CommonAccuracy | None:
    (comparison,) = by_dataset(runs(*trials))
    return common_accuracy(comparison)


def until(*needed: float, end: float = 0.9) -> list[Points]:
    """Curves that reach 0.8 after these numbers of interactions, and then rise to `end`."""
    return [[(10, 0.0), (one, 0.8), (200, end)] for one in needed]


def test_factor_is_the_geometric_mean_over_the_seeds() -> None:
    common = found(*seeds("random", *until(100, 160, end=0.8)), *seeds("cluster-only", *until(50, 40)))
    assert common is not None
    assert (common.accuracy, common.fewest.scenario, common.other.scenario) == (0.8, "cluster-only", "random")
    assert common.fewest_needed.by_seed == {0: 50, 1: 40}
    assert common.other_needed.by_seed == {0: 100, 1: 160}
    assert common.factor is not None
    assert common.factor.mean == pytest.approx(sqrt(2 * 4))
    assert common.is_unclear  # The factors 2 and 4 of the two seeds differ so much that the interval contains 1.


def test_it_is_the_highest_accuracy_that_each_seed_of_two_strategies_reached() -> None:
    falls: Points = [(10, 0.1), (50, 0.85), (100, 0.6)]
    common = found(
        *seeds("random", falls, [(10, 0.1), (100, 0.7)]),
        *seeds("cluster-only", [(10, 0.1), (100, 0.95)], [(10, 0.1), (100, 0.9)]),
        *seeds("uncertain-only", [(10, 0.1), (100, 0.6)], [(10, 0.1), (100, 0.65)]),
    )
    assert common is not None
    assert common.accuracy == 0.7
    assert {common.fewest.scenario, common.other.scenario} == {"random", "cluster-only"}


def test_two_settings_of_a_strategy_are_one_strategy() -> None:
    trials = [
        one
        for threshold, end in ((0.7, 0.85), (0.9, 0.9))
        for one in seeds("cluster-only", *until(50, end=end), expert={"purity_threshold": threshold})
    ]
    alone, beside = found(*trials), found(*trials, *seeds("random", *until(100, end=0.8)))
    assert alone is not None
    assert beside is not None
    assert (alone.accuracy, beside.accuracy) == (0.85, 0.8)
    assert beside.other.scenario == "random"


def test_who_needs_fewer_is_unknown_if_the_other_had_it_at_once() -> None:
    at_once: Points = [(20, 0.8), (100, 0.9)]
    both = found(*seeds("random", at_once), *seeds("cluster-only", [(20, 0.85), (100, 0.8)]))
    assert both is not None
    assert (both.accuracy, both.is_unknown, both.factor) == (0.85, False, both.factor)
    later = found(*seeds("random", [(5, 0.1), (10, 0.8)]), *seeds("cluster-only", at_once))
    assert later is not None
    assert (later.fewest.scenario, later.is_unknown, later.factor) == ("random", True, None)


def test_nothing_in_common() -> None:
    assert found(*seeds("random", *until(50))) is None
    assert found(*seeds("random", *until(50)), *seeds("supervised", [(800, 0.9)])) is None
    bound = seeds("cluster-only", *until(20), clustering={"name": "kmeans", "order": "oracle"})
    assert found(*seeds("random", *until(50)), *bound) is None
