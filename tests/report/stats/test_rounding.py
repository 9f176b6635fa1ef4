from fractions import Fraction
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycal.report.stats.rounding import exact, reaches


def test_ninety_percent_of_eighty_of_a_hundred_is_reached_by_seventy_two() -> None:
    assert 0.9 * 0.8 > 0.72
    assert reaches(72 / 100, 90 / 100 * fmean([0.8]))
    assert not reaches(71 / 100, 90 / 100 * fmean([0.8]))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([7, 100, 360, 997, 4096, 8192, 10_000, 100_000]),
    st.lists(st.floats(0, 1), min_size=1, max_size=10),
    st.sampled_from([90, 95, 99, 100]),
    st.integers(-2, 2),
)
def test_targets_are_reached_as_whole_numbers_say(num_test: int, shares: list[float], percent: int, more: int) -> None:
    counts = [round(share * num_test) for share in shares]
    target = Fraction(percent * sum(counts), 100 * len(counts) * num_test)
    right = min(num_test, max(0, int(target * num_test) + more))

    found = reaches(right / num_test, percent / 100 * fmean(count / num_test for count in counts))

    assert found == (Fraction(right, num_test) >= target)


def test_every_exact_equality_of_five_seeds_of_100_images_is_reached() -> None:
    rng, equalities, misjudged = np.random.default_rng(0), 0, 0
    for _ in range(4000):
        counts = rng.integers(50, 100, 5).tolist()
        right, rest = divmod(90 * sum(counts), 500)
        if rest:
            continue
        equalities += 1
        target = 90 / 100 * fmean(count / 100 for count in counts)
        misjudged += right / 100 < target
        assert reaches(right / 100, target)
    assert equalities > 50
    assert misjudged > 5  # These are the cases in which a plain comparison of floats is wrong.


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, -0.25, 1e6, float("inf")])
def test_values_that_floats_hold_stay_as_they_are(value: float) -> None:
    assert exact(value) == value


def test_equal_values_are_equal_whatever_was_computed_first() -> None:
    assert 0.1 + 0.2 != 0.3
    assert exact(0.1 + 0.2) == exact(0.3)
    assert (exact(1e-17), exact(-1e-17)) == (0, 0)
    assert exact(0.72) < exact(0.72 + 1e-9)


@pytest.mark.parametrize("count", [1, 77, 4097, 8191])
def test_ratios_halfway_between_two_rounded_numbers_go_to_one_side(count: int) -> None:
    # Multiples of 1/8192 have up to thirteen decimals; the thirteenth is a five, halfway for rounding to twelve.
    half = count / 8192

    around = {exact(half), exact(np.nextafter(half, 0)), exact(np.nextafter(half, 1)), exact(half + 0.7 - 0.7)}

    assert len(around) == 1
    assert around == {-exact(-half)}
