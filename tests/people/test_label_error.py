import numpy as np
import pytest

from raycal.people.label_error import estimate_label_error


def nothing() -> np.ndarray:
    return np.zeros(0, np.int64)


def test_four_wrong_of_a_hundred_in_one_stratum_is_wilsons_interval() -> None:
    found = estimate_label_error(np.zeros(5000, np.int64), np.zeros(100, np.int64), np.arange(100) < 4)

    assert found is not None
    assert (found.number, found.num_wrong) == (100, 4)
    assert (found.share, found.low, found.high) == pytest.approx((0.04, 0.0157, 0.0984), abs=0.0001)


def test_each_stratum_has_the_weight_of_its_labels() -> None:
    strata = np.repeat([0, 1], [900, 100])
    checked = np.repeat([0, 1], [50, 50])
    found = estimate_label_error(strata, checked, np.arange(100) >= 75)

    assert found is not None
    assert found.share == pytest.approx(0.1 * 0.5)  # and not 25 of 100
    # The effective number is 1 / (0.9 ** 2 / 50 + 0.1 ** 2 / 50) = 61.
    assert (found.low, found.high) == pytest.approx((0.0173, 0.1361), abs=0.0001)


def test_stratum_without_a_check_is_merged() -> None:
    strata = np.repeat([0, 1, 2, 4], [100, 100, 100, 700])
    found = estimate_label_error(strata, np.array([1, 1, 2, 2]), np.array([True, True, False, False]))

    assert found is not None
    assert found.share == pytest.approx(0.2)  # the strata 0 and 1 count together, and so do the strata 2 and 4


def test_nothing_is_known_without_a_check_or_a_label() -> None:
    assert estimate_label_error(np.zeros(9, np.int64), nothing(), np.zeros(0, np.bool_)) is None
    assert estimate_label_error(nothing(), nothing(), np.zeros(0, np.bool_)) is None


@pytest.mark.parametrize("num_checked", [60, 200])
@pytest.mark.parametrize("errors", [(0.02, 0.02, 0.02), (0.0, 0.05, 0.2), (0.3, 0.1, 0.05)])
def test_interval_covers_the_true_error(errors: tuple[float, ...], num_checked: int) -> None:
    """Of 1,000 projects with three strata, the interval of at least 93 % holds the true share of wrong labels."""
    sizes = np.array([2000, 5000, 3000])
    strata = np.repeat(np.arange(3), sizes)
    rng = np.random.default_rng(5)
    in_each = np.maximum(1, np.round(num_checked * sizes / sizes.sum())).astype(int)
    covered = 0
    for _ in range(1000):
        is_wrong = rng.random(len(strata)) < np.array(errors)[strata]
        rows = np.concatenate([np.flatnonzero(strata == one)[:number] for one, number in enumerate(in_each)])
        found = estimate_label_error(strata, strata[rows], is_wrong[rows])
        assert found is not None
        covered += found.low <= is_wrong.mean() <= found.high
    assert covered >= 930
