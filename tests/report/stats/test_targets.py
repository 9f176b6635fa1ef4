import math

import pytest
from made_up import level, runs, seeds, trial

from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.targets import full_supervision, label_efficiency, reach


def test_full_supervision_is_that_of_the_same_training() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", *level(0.5)),
            *seeds("random", *level(0.5), training={"epochs": 20}),
            *seeds("supervised", [(800, 0.9)], [(800, 0.8)]),
        )
    )
    first = full_supervision(found.groups[0], found)
    assert first is not None
    assert (first.n, first.mean) == (2, pytest.approx(0.85))
    assert full_supervision(found.groups[1], found) is None


def test_full_supervision_that_failed_is_missing() -> None:
    (found,) = by_dataset(runs(*seeds("random", *level(0.5)), trial("supervised", status="failed")))
    assert full_supervision(found.groups[0], found) is None


def test_seeds_that_did_not_reach_the_target_are_told() -> None:
    (found,) = by_dataset(
        runs(*seeds("random", [(10, 0.0), (20, 1.0)], [(10, 0.0), (30, 1.0)], [(10, 0.1), (30, 0.2)]))
    )
    reached = reach(found.groups[0], 0.5)
    assert reached.by_seed == {0: 15, 1: 20, 2: None}
    assert (reached.reached, reached.by_all, reached.at_most) == (2, False, False)
    assert reached.estimate is not None
    assert (reached.estimate.mean, reached.estimate.low, reached.estimate.high) == (18, None, None)
    early = reach(found.groups[0], 0.1)
    assert (early.by_all, early.at_most) == (True, True)
    assert early.estimate is not None
    # The three seeds need 11, 12 and 10 interactions.
    assert (early.estimate.mean, early.estimate.low, early.estimate.high) == (11, 8, 14)


def test_efficiency_by_hand() -> None:
    (found,) = by_dataset(
        runs(
            # `random` reaches its final accuracies, 0.8 and 0.6, after 100 and 90 interactions. `cluster-only` reaches
            # them after 25 and 45.
            *seeds("random", [(10, 0.2), (100, 0.8)], [(10, 0.2), (90, 0.6), (100, 0.6)]),
            *seeds("cluster-only", [(10, 0.2), (30, 1.0)], [(20, 0.1), (70, 1.1)]),
            *seeds("uncertain-only", [(10, 0.2), (30, 1.0)], [(10, 0.2), (100, 0.5)]),
            *seeds("supervised", [(800, 0.9)]),
        )
    )
    random, cluster, uncertain, supervised = found.groups
    efficiency = label_efficiency(cluster, found)
    assert efficiency is not None
    assert efficiency.ratio is not None
    assert (efficiency.of, efficiency.ratio.n) == (2, 2)
    assert efficiency.ratio.mean == pytest.approx(math.sqrt(100 / 25 * 90 / 45))
    # The interval is computed from two logarithms with the 0.975 quantile of t with one degree of freedom.
    half = 12.706204736432095 * abs(math.log(4) - math.log(2)) / 2
    assert efficiency.ratio.low == pytest.approx(math.sqrt(8) * math.exp(-half))
    assert efficiency.ratio.high == pytest.approx(math.sqrt(8) * math.exp(half))
    censored = label_efficiency(uncertain, found)
    assert censored is not None
    assert censored.ratio is not None
    assert (censored.of, censored.ratio.n, censored.ratio.mean) == (2, 1, pytest.approx(4))
    assert censored.ratio.low is None
    assert label_efficiency(random, found) is None
    assert label_efficiency(supervised, found) is None


def test_target_that_is_met_exactly_is_reached() -> None:
    (found,) = by_dataset(
        runs(*seeds("random", [(10, 0.2), (20, 0.72)], [(10, 0.72), (20, 0.5)]), *seeds("supervised", [(800, 0.8)]))
    )
    full = full_supervision(found.groups[0], found)
    assert full is not None
    reached = reach(found.groups[0], 90 / 100 * full.mean)
    assert reached.by_seed == {0: 20, 1: 10}
    assert reached.at_most


def test_efficiency_is_unknown_where_both_had_the_accuracy_at_their_first_evaluation() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", [(10, 0.5), (20, 0.5)], [(10, 0.4), (20, 0.4)]),
            *seeds("cluster-only", [(10, 0.6), (20, 0.7)], [(10, 0.5), (20, 0.7)]),
            *seeds("uncertain-only", [(10, 0.6), (20, 0.7)], [(5, 0.2), (10, 0.6)]),
        )
    )
    _, cluster, uncertain = found.groups
    at_once = label_efficiency(cluster, found)
    assert at_once is not None
    assert (at_once.of, at_once.ratio, at_once.both_at_first) == (2, None, 2)
    in_one = label_efficiency(uncertain, found)
    assert in_one is not None
    assert in_one.ratio is not None
    # The second seed compares 10 interactions with 5 + 5 / 2, rounded up.
    assert (in_one.ratio.n, in_one.ratio.mean, in_one.ratio.low) == (1, pytest.approx(10 / 8), None)
    assert in_one.both_at_first == 1


def test_efficiency_is_known_where_only_one_had_the_accuracy_at_once() -> None:
    (found,) = by_dataset(
        runs(*seeds("random", [(10, 0.2), (40, 0.5)]), *seeds("cluster-only", [(10, 0.6), (20, 0.7)]))
    )
    efficiency = label_efficiency(found.groups[1], found)
    assert efficiency is not None
    assert efficiency.ratio is not None
    assert (efficiency.ratio.mean, efficiency.both_at_first) == (pytest.approx(4), 0)


def test_efficiency_without_random() -> None:
    (found,) = by_dataset(runs(*seeds("cluster-only", *level(0.5))))
    assert label_efficiency(found.groups[0], found) is None
