import math

import numpy as np
import pytest
from scipy.special import ndtri

from raycal.people.forecast import Forecast, forecast_gain

ANSWERS = 50


def errors_of(rounds: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.9 * (ANSWERS * np.arange(1, rounds + 1)) ** -0.35


def models(seed: int, rounds: int, number: int, noise: float) -> tuple[list[int], np.ndarray, float]:
    """The answers after each round, whether each model is right about each image, and the true gain of one more round.

    Images are more or less difficult for all models, and each training ends a little off the power law.
    """
    rng = np.random.default_rng(seed)
    errors = np.clip(errors_of(rounds + 1) + rng.normal(0, noise, rounds + 1), 0.01, 0.95)
    difficulty = rng.normal(size=number)
    right = [
        -ndtri(error) * math.sqrt(1.5) - difficulty + math.sqrt(0.5) * rng.normal(size=number) > 0
        for error in errors[:rounds]
    ]
    return [ANSWERS * one for one in range(1, rounds + 1)], np.array(right), float(errors[-2] - errors[-1])


@pytest.mark.parametrize(("rounds", "number", "noise"), [(2, 200, 0.005), (4, 400, 0.005), (6, 100, 0.01)])
def test_interval_covers_the_true_gain_in_93_of_100_seeds(rounds: int, number: int, noise: float) -> None:
    covered = 0
    for seed in range(100):
        answers, right, gain = models(seed, rounds, number, noise)
        found = forecast_gain(answers, right, ANSWERS)
        assert found is not None
        covered += found[1] <= gain <= found[2]

    assert covered >= 93


def test_exact_power_law_is_continued() -> None:
    errors = errors_of(5)
    number = 200_000
    right = np.array([np.arange(number) >= round(number * error) for error in errors[:4]])

    found = forecast_gain([50, 100, 150, 200], right, ANSWERS)

    assert found is not None
    assert found[0] == pytest.approx(errors[3] - errors[4], abs=1e-4)


def test_larger_next_round_gains_more() -> None:
    answers, right, _ = models(0, 4, 400, 0.0)
    small, large = forecast_gain(answers, right, 50), forecast_gain(answers, right, 200)

    assert small is not None
    assert large is not None
    assert large[0] > small[0] > 0


def test_model_that_became_worse_forecasts_no_gain() -> None:
    right = np.array([np.arange(100) >= 20, np.arange(100) >= 30])

    found = forecast_gain([50, 100], right, ANSWERS)

    assert found is not None
    assert found[0] == 0.0
    assert found[1] < 0 < found[2]


def test_rounds_that_agree_are_not_certain() -> None:
    right = np.array([np.arange(100) >= 20] * 3)

    found = forecast_gain([50, 100, 150], right, ANSWERS)

    assert found is not None
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert found[2] - found[1] > 0.02


@pytest.mark.parametrize(
    ("answers", "number", "next_answers"), [([50], 10, 50), ([50, 100], 0, 50), ([0, 50], 10, 50), ([50, 100], 10, 0)]
)
def test_nothing_is_forecast_without_data(answers: list[int], number: int, next_answers: int) -> None:
    assert forecast_gain(answers, np.ones((len(answers), number), np.bool_), next_answers) is None


@pytest.mark.parametrize(("minutes", "pace"), [(20.0, 0.01), (5.0, 0.04), (4.9, None), (0.05, None), (0.0, None)])
def test_round_of_seconds_has_no_pace(minutes: float, pace: float | None) -> None:
    forecast = Forecast(gain=0.02, low=0.0, high=0.04, answers=50, minutes=minutes)

    assert forecast.gain_per_10_minutes == (None if pace is None else pytest.approx(pace))
