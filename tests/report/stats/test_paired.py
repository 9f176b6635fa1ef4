import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import level, runs, seeds, trial
from scipy import stats
from statsmodels.stats.multitest import multipletests

from raycal.report.stats.comparison import by_dataset
from raycal.report.stats.paired import holm, paired_test, pairwise

VALUES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=2, max_size=8)


@settings(deadline=None)
@given(VALUES)
def test_tests_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = ([value / 1000 for value in side] for side in zip(*pairs, strict=True))
    found = paired_test(first, second)
    whole = np.array([a - b for a, b in pairs])
    assert found.difference is not None
    assert found.difference.mean == pytest.approx(whole.mean() / 1000)
    if np.ptp(whole):
        assert found.t_p == pytest.approx(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue)
        assert found.cohens_dz == pytest.approx(whole.mean() / whole.std(ddof=1))
        expected = stats.ttest_rel(first, second).confidence_interval(0.95)
        assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.wilcoxon_p == pytest.approx(signed_rank_p(whole))
    if len(set(abs(whole))) == len(whole) and all(whole):
        assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(whole, method="exact").pvalue)


def test_many_seeds_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(20), rng.random(20)
    assert paired_test(first.tolist(), second.tolist()).wilcoxon_p == stats.wilcoxon(first, second).pvalue


def signed_rank_p(differences: np.ndarray) -> float:
    """The two-sided p-value by its definition: all signs are equally likely, and differences of zero get no rank."""
    differing = differences[differences != 0]
    ranks = stats.rankdata(abs(differing))
    observed = ranks[differing > 0].sum() - ranks.sum() / 2
    sums = [
        sum(rank for rank, positive in zip(ranks, signs, strict=True) if positive) - ranks.sum() / 2
        for signs in itertools.product((False, True), repeat=len(ranks))
    ]
    return float(np.mean([abs(value) >= abs(observed) - 1e-9 for value in sums]))


def test_five_seeds_by_hand() -> None:
    found = paired_test([0.5, 0.6, 0.7, 0.8, 0.9], [0.4, 0.4, 0.4, 0.4, 0.4])
    assert found.n == 5
    assert found.cohens_dz == pytest.approx(0.3 / math.sqrt(0.025))
    assert found.wilcoxon_p == 0.0625
    assert found.note == "5 seeds: Wilcoxon's p is at least 0.0625"


def test_what_cannot_be_tested_is_said() -> None:
    none, one = paired_test([], []), paired_test([0.5], [0.4])
    assert (none.n, none.difference, none.t_p, none.note) == (0, None, None, "no seed in common")
    assert (one.n, one.t_p, one.wilcoxon_p, one.note) == (1, None, None, "one seed: no test")
    equal, shifted = paired_test([0.5, 0.6], [0.5, 0.6]), paired_test([0.3, 0.4, 0.5], [0.2, 0.3, 0.4])
    assert (equal.t_p, equal.wilcoxon_p, equal.cohens_dz, equal.note) == (1.0, 1.0, None, "equal in every seed")
    assert (shifted.t_p, shifted.wilcoxon_p) == (None, 0.25)
    assert shifted.note == "the same difference in all 3 seeds: no t-test"


@pytest.mark.slow
def test_holm_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        # Some p-values are equal, 0 or 1.
        p_values = rng.choice([0.0, 1.0, 0.05, *rng.random(9)], size=1 + number % 12).tolist()
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_leaves_out_what_is_undefined() -> None:
    assert holm([0.04, None, 0.01, 0.9]) == [pytest.approx(0.08), None, pytest.approx(0.03), pytest.approx(0.9)]
    assert holm([]) == []


def test_pairs_are_compared_over_what_they_share() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", [(10, 0.2), (30, 0.4)], [(10, 0.3), (30, 0.5)]),
            *seeds("cluster-only", [(20, 0.6), (40, 0.8)], [(20, 0.7), (40, 1.0)]),
            *seeds("supervised", [(800, 0.9)], [(800, 0.9)]),
        )
    )
    (area,), (last,) = pairwise(found, "AUBC"), pairwise(found, "accuracy")
    assert (area.first.scenario, area.second.scenario, area.seeds) == ("random", "cluster-only", (0, 1))
    assert area.budget == last.budget == (20, 30)
    # The AUBC values per seed are 0.35 and 0.45 against 0.65 and 0.775.
    assert (area.first_mean, area.second_mean) == (pytest.approx(0.4), pytest.approx(0.7125))
    assert area.test.difference is not None
    assert area.test.difference.mean == pytest.approx(-0.3125)
    # The accuracies per seed at the end are 0.4 and 0.5 against 0.7 and 0.85.
    assert last.test.difference is not None
    assert last.test.difference.mean == pytest.approx(-0.325)
    assert area.t_p_holm == area.test.t_p


def test_family_is_every_pair_of_the_dataset() -> None:
    names = ("random", "cluster-only", "uncertain-only")
    curves = ([0.1, 0.2, 0.4], [0.5, 0.9, 0.7], [0.3, 0.5, 0.4])
    trials = [item for name, values in zip(names, curves, strict=True) for item in seeds(name, *level(*values))]
    other = seeds("random", *level(0.5, 0.6), dataset="cifar10")
    digits, cifar = by_dataset(runs(*trials, *other))
    found = pairwise(digits, "AUBC")
    assert [(pair.first.scenario, pair.second.scenario) for pair in found] == [*itertools.combinations(names, 2)]
    expected = multipletests([pair.test.t_p for pair in found], method="holm")[1]
    assert [pair.t_p_holm for pair in found] == pytest.approx(expected.tolist())
    assert pairwise(cifar, "AUBC") == []


def test_pairs_without_common_seeds_or_interactions() -> None:
    (found,) = by_dataset(
        runs(
            *seeds("random", *level(0.5, 0.6)),
            *seeds("cluster-only", [(30, 0.5), (40, 0.6)], [(30, 0.5), (40, 0.6)]),
            trial("uncertain-only", [(10, 0.5)], seed=7),
            trial("uncertain+cluster", seed=0, status="failed"),
        )
    )
    assert [(pair.test.n, pair.budget, pair.test.note) for pair in pairwise(found, "AUBC")] == [
        (0, None, "their trials share no interactions"),
        (0, None, "no seed in common"),
        (0, None, "no seed in common"),
    ]


def test_equal_differences_are_ties_whichever_way_floats_rounded_them() -> None:
    # Accuracies on 8,192 test images are used, because their differences lie halfway between two numbers of twelve
    # decimals.
    first = [0.01 + 77 / 8192, 0.02 + 77 / 8192, 77 / 8192]
    second = [0.01, 0.02, 0.0]

    found = paired_test(first, second)

    assert found.note == "the same difference in all 3 seeds: no t-test"
    assert found.difference is not None
    assert found.difference.sd == 0
