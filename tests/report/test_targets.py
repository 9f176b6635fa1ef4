import math

import pytest
from made_up import level, runs, seeds, trial

from raycal.report.comparison import by_dataset
from raycal.report.targets import full_supervision, label_efficiency, reach


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
    assert (early.estimate.mean, early.estimate.low, early.estimate.high) == (11, 8, 14)  # of 11, 12 and 10


def test_efficiency_by_hand() -> None:
    (found,) = by_dataset(
        runs(
            # Random reaches its final 0.8 after 100 and its final 0.6 after 90 already, the others after 25 and 45.
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
    # t of one degree of freedom at 0.975, of two logarithms.
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


def test_efficiency_without_random() -> None:
    (found,) = by_dataset(runs(*seeds("cluster-only", *level(0.5))))
    assert label_efficiency(found.groups[0], found) is None
