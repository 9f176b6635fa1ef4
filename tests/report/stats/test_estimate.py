import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raycal.report.stats.estimate import estimate, number


def test_of_three_seeds_by_hand() -> None:
    found = estimate([0.7, 0.8, 0.9])
    assert found is not None
    # The first number is the 0.975 quantile of t with 2 degrees of freedom.
    half = 4.302652729911275 * 0.1 / math.sqrt(3)
    assert (found.n, found.mean, found.sd) == (3, pytest.approx(0.8), pytest.approx(0.1))
    assert (found.low, found.high) == (pytest.approx(0.8 - half), pytest.approx(0.8 + half))


def test_one_seed_has_no_spread_and_none_no_estimate() -> None:
    found = estimate([0.5])
    assert found is not None
    assert (found.n, found.mean, found.sd, found.low, found.high) == (1, 0.5, None, None, None)
    assert estimate([]) is None


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=10).filter(lambda values: np.ptp(values) > 1e-6))
def test_interval_is_that_of_scipy(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=1e-6), pytest.approx(expected.high, abs=1e-6))


def test_text() -> None:
    assert str(estimate([0.5])) == "0.5 (1 seed)"
    assert str(estimate([9000, 9000])) == "9,000 [9,000, 9,000] (2 seeds)"
    assert [number(value) for value in (12345.6, 20, 0.12345, -0.5)] == ["12,346", "20", "0.1235", "-0.5"]


def test_interval_of_one_more_value_is_wider_than_that_of_the_mean() -> None:
    found = estimate([0.5, 0.6, 0.7])
    assert found is not None

    one_more = found.of_one_more()

    assert (one_more.mean, one_more.sd, one_more.n) == (found.mean, found.sd, 3)
    # The quantile of t with 2 degrees of freedom is 4.3027; one more value varies by sd * sqrt(1 + 1 / 3).
    assert one_more.low == pytest.approx(0.6 - 4.3027 * 0.1 * (4 / 3) ** 0.5, abs=1e-4)
    assert one_more.high == pytest.approx(0.6 + 4.3027 * 0.1 * (4 / 3) ** 0.5, abs=1e-4)
    assert found.of_one_more(0.02).high == pytest.approx(0.6 + 4.3027 * (0.01 * 4 / 3 + 0.02) ** 0.5, abs=1e-4)


def test_one_value_says_nothing_about_one_more() -> None:
    found = estimate([0.5])
    assert found is not None
    assert found.of_one_more(0.1) == found
