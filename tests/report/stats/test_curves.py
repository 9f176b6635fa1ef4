import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import Points, lines, seeds

from raycal.report.stats.curves import (
    aubc_between,
    curve_of,
    final_accuracy,
    interactions_to_reach,
    mean_curve,
    reached_at,
    reaches_first,
    shared_budget,
    shared_range,
)
from raycal.storage.results import area_under_budget_curve

RISING = [(10, 0.2), (20, 0.4), (40, 0.8)]


def test_accuracy_is_linear_between_points_and_unknown_beyond() -> None:
    found = curve_of(lines(RISING))
    assert found is not None
    assert [found.at(budget) for budget in (10, 15, 30, 40)] == pytest.approx([0.2, 0.3, 0.6, 0.8])
    assert [found.at(budget) for budget in (9, 41)] == [None, None]


def test_undefined_values_are_no_points() -> None:
    found = curve_of(lines([(10, 0.2), (20, None), (30, 0.6)]))
    assert found is not None
    assert found.at(20) == pytest.approx(0.4)
    assert curve_of(lines([(10, None)])) is None
    assert curve_of(()) is None


def test_of_lines_that_cost_nothing_the_last_counts() -> None:
    found = curve_of(lines([(10, 0.2), (10, 0.3), (20, 0.5)]))
    assert found is not None
    assert (found.interactions.tolist(), found.values.tolist()) == ([10, 20], [0.3, 0.5])


def test_area_over_a_part_by_hand() -> None:
    # The mean accuracy is 0.35 from 15 to 20 interactions and 0.5 from 20 to 30.
    assert aubc_between(lines(RISING), 15, 30) == pytest.approx((5 * 0.35 + 10 * 0.5) / 15)
    assert aubc_between(lines(RISING), 20, 20) == pytest.approx(0.4)
    assert aubc_between(lines(RISING), 5, 30) is None
    assert aubc_between((), 5, 30) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 999), st.floats(0, 1)), min_size=1, max_size=9, unique_by=lambda p: p[0]))
def test_area_over_all_is_the_area_under_the_budget_curve(points: Points) -> None:
    points = sorted(points)
    found = aubc_between(lines(points), points[0][0], points[-1][0])
    assert found == pytest.approx(area_under_budget_curve(lines(points)))


@pytest.mark.parametrize(
    ("accuracy", "interactions"), [(0.1, 10), (0.2, 10), (0.3, 15), (0.4, 20), (0.6, 30), (0.8, 40), (0.81, None)]
)
def test_first_crossing(accuracy: float, interactions: float | None) -> None:
    expected = None if interactions is None else pytest.approx(interactions)
    assert interactions_to_reach(lines(RISING), accuracy) == expected


@pytest.mark.parametrize(("percent", "full"), [(90, 0.8), (90, 0.7), (95, 0.6), (99, 0.7)])
def test_accuracy_that_is_exactly_at_the_target_reaches_it(percent: int, full: float) -> None:
    target = percent / 100 * full
    for rounded in (np.nextafter(target, 0), target, np.nextafter(target, 1)):
        found = lines([(10, 0.2), (20, float(rounded)), (30, 0.1)])
        assert interactions_to_reach(found, target) == 20
        at = reached_at(found, target)
        assert at is not None
        assert 20 - 1e-9 < at <= 20
        assert interactions_to_reach(lines([(10, float(rounded)), (20, 0.1)]), target) == 10
        assert reaches_first(lines([(10, float(rounded))]), target)
    assert interactions_to_reach(lines([(10, 0.2), (20, target - 1e-6)]), target) is None
    assert not reaches_first(lines([(10, target - 1e-6), (20, 1.0)]), target)
    assert not reaches_first((), target)


def test_crossing_is_the_first_of_several() -> None:
    assert interactions_to_reach(lines([(10, 0.2), (20, 0.6), (30, 0.3), (40, 0.9)]), 0.5) == 18
    assert interactions_to_reach((), 0.5) is None


@pytest.mark.parametrize(("accuracy", "interactions"), [(0.5, 11), (0.1, 10), (0.9, 11), (0.9 + 1e-12, 11)])
def test_interactions_are_rounded_up_to_whole_ones(accuracy: float, interactions: int) -> None:
    reached = interactions_to_reach(lines([(10, 0.1), (11, 0.9), (20, 0.95)]), accuracy)
    assert (reached, type(reached)) == (interactions, int)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1))
def test_the_target_is_reached_there_and_not_one_interaction_before(accuracies: list[float], target: float) -> None:
    points = [(10 * step, accuracy) for step, accuracy in enumerate(accuracies)]
    reached, found = interactions_to_reach(lines(points), target), curve_of(lines(points))
    assert found is not None
    if reached is None:
        assert max(accuracies) < target
    elif accuracies[0] >= target:
        assert reached == 0
    else:
        there, before = np.interp([reached, reached - 1], found.interactions, found.values)
        assert there >= target - 1e-6
        assert before <= target + 1e-6
        assert (found.values[found.interactions < reached] < target).all()


def test_mean_curve_by_hand() -> None:
    trials = seeds("random", [(10, 0.2), (20, 0.4), (30, 0.6)], [(15, 0.5), (30, 0.8), (45, 0.9)])
    found = mean_curve(trials)
    assert found is not None
    assert found.sd is not None
    assert found.n == 2
    assert found.interactions.tolist() == [15, 20, 30]
    assert found.mean == pytest.approx([(0.3 + 0.5) / 2, (0.4 + 0.6) / 2, (0.6 + 0.8) / 2])
    assert found.sd == pytest.approx([np.sqrt(0.02)] * 3)
    assert found.x.tolist() == [15, 20, 30]


def test_mean_curve_on_another_axis_takes_seeds_together_at_the_same_interactions() -> None:
    trials = seeds("random", [(10, 0.2), (20, 0.4)], [(10, 0.4), (20, 0.6)])
    hours = mean_curve(trials, axis="human_hours")
    images = mean_curve(trials, metric="annotated", axis="annotated")
    assert hours is not None
    assert images is not None
    assert hours.x.tolist() == [10, 20]
    assert hours.mean == pytest.approx([0.3, 0.5])
    assert images.x.tolist() == images.mean.tolist() == [100, 200]


def test_mean_curve_of_one_seed_or_none() -> None:
    found = mean_curve(seeds("random", RISING))
    assert found is not None
    assert (found.n, found.sd, found.low, found.high) == (1, None, None, None)
    assert mean_curve([]) is None
    assert mean_curve(seeds("random", [(10, 0.2), (20, 0.3)], [(30, 0.2), (40, 0.3)])) is None
    assert mean_curve(seeds("random", RISING), metric="cluster_label_error") is None


def test_shared_range() -> None:
    assert shared_budget(seeds("random", [(10, 0.1), (50, 0.2)], [(20, 0.1), (40, 0.2)], [])) == (20, 40)
    assert shared_budget(seeds("random", [(10, 0.1), (20, 0.2)], [(20, 0.1)])) == (20, 20)
    assert shared_budget(seeds("random", [(10, 0.1), (15, 0.2)], [(20, 0.1)])) is None
    assert shared_range([]) is None


def test_final_accuracy_is_the_last_measured() -> None:
    assert final_accuracy(lines([(10, 0.2), (20, 0.5), (30, None)])) == 0.5
    assert final_accuracy(()) is None
