import numpy as np
import pytest
from scipy.stats import binomtest

from raycal.people.paired import mcnemar_p_value, paired_gain, paired_interval


@pytest.mark.parametrize(("won", "lost"), [(0, 1), (1, 0), (3, 3), (12, 2), (2, 12), (40, 61), (700, 640)])
def test_p_value_is_that_of_the_exact_binomial_test(won: int, lost: int) -> None:
    assert mcnemar_p_value(won, lost) == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9)


def test_models_that_agree_are_not_told_apart() -> None:
    assert mcnemar_p_value(0, 0) == 1.0


def test_interval_is_the_published_one() -> None:
    # The first example of Newcombe (1998), with his method 10.
    assert paired_interval(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_interval_is_mirrored_if_the_models_change_places() -> None:
    low, high = paired_interval(70, 9, 4, 17)

    assert paired_interval(70, 4, 9, 17) == pytest.approx((-high, -low))


@pytest.mark.parametrize("counts", [(50, 0, 0, 0), (0, 0, 0, 50), (360, 0, 0, 40), (0, 50, 0, 0), (0, 0, 1, 0)])
def test_interval_has_a_length_and_stays_within_bounds(counts: tuple[int, int, int, int]) -> None:
    low, high = paired_interval(*counts)

    assert -1 <= low < high <= 1


def test_gain_counts_the_samples_about_which_one_model_is_right() -> None:
    earlier = np.array([True, True, True, False, False, False, False, True])
    later = np.array([True, True, False, True, True, True, False, True])

    gain = paired_gain(earlier, later)

    assert gain is not None
    assert (gain.number, gain.won, gain.lost, gain.gain) == (8, 3, 1, 0.25)
    assert (gain.low, gain.high) == paired_interval(3, 3, 1, 1)
    assert gain.p_value == pytest.approx(0.625)


def test_there_is_no_gain_without_a_sample() -> None:
    nothing = np.zeros(0, np.bool_)
    assert paired_gain(nothing, nothing) is None


@pytest.mark.parametrize(("won", "lost", "number"), [(0.05, 0.03, 400), (0.1, 0.05, 100), (0.02, 0.01, 400)])
def test_interval_covers_the_true_gain_in_93_of_100_seeds(won: float, lost: float, number: int) -> None:
    covered = 0
    for seed in range(100):
        counts = np.random.default_rng(seed).multinomial(number, [0.8, won, lost, 0.2 - won - lost])
        low, high = paired_interval(*map(int, counts))
        covered += low <= won - lost <= high

    assert covered >= 93


def test_paired_interval_is_shorter_than_that_of_the_accuracies() -> None:
    """Two models that differ in 30 of 400 images: their accuracies differ certainly, though the intervals overlap."""
    low, high = paired_interval(330, 24, 6, 40)

    assert low > 0
    assert high - low < 0.06
