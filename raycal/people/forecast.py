"""Forecasts what another round gains.

The forecast is a power law: the error falls by the same factor whenever the number of answers doubles. Learning curves
follow this law well over a few rounds, it has only two parameters, and it knows what the last gain alone does not say:
that gains become smaller. The line is fitted to the logarithms of errors and answers of the last `MOST_ROUNDS` rounds,
because over many rounds no single law holds.

The interval covers two causes of error. The first is that the test samples are few: all rounds are measured on the same
samples, so the covariances between the rounds are estimated from the samples, and most of their common luck cancels
out. The second is that a training ends a little above or below the curve. How much is taken
from the distances of the rounds to the curve, as far as few test samples do not explain them, but a few rounds cannot
show that it is less than `TRAINING_SD`. The interval cannot cover a curve that bends, such as
that of a project whose new images are of another kind.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.people.paired import Flags
from raycal.people.results import Z

MOST_ROUNDS = 6
FEWEST_ROUNDS = 2
# How far a training at least ends above or below the curve, as a standard deviation of the accuracy.
TRAINING_SD = 0.01
# A shorter round has no pace. Gains become smaller, so the gain of seconds is not that of each of these seconds for ten
# minutes: it would promise more points than there are.
SHORTEST_MINUTES_OF_PACE = 5.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the next round probably brings.

    Attributes:
        gain: The expected gain of accuracy, as a share; never below zero.
        low, high: The 95 % interval of the gain.
        answers: The number of answers of the round.
        minutes: The time that these answers take.
    """

    gain: float
    low: float
    high: float
    answers: int
    minutes: float

    @property
    def gain_per_10_minutes(self) -> float | None:
        """The expected gain per ten minutes of work. None if the round is too short for a pace."""
        return 10 * self.gain / self.minutes if self.minutes >= SHORTEST_MINUTES_OF_PACE else None


def forecast_gain(answers: Sequence[int], right: Flags, next_answers: int) -> tuple[float, float, float] | None:
    """The expected gain of the next round, and the ends of its 95 % interval.

    Args:
        answers: (R,) The number of answers after each round, ascending.
        right: (R, H) Whether the model after each round is right about each test sample.
        next_answers: The number of answers of the next round.

    Returns:
        None if there are fewer than two rounds, or no test sample.
    """
    counts, right = np.array(answers[-MOST_ROUNDS:], np.float64), right[-MOST_ROUNDS:]
    num_rounds, number = right.shape
    can_fit = num_rounds >= FEWEST_ROUNDS and len({*counts}) >= FEWEST_ROUNDS and counts[0] > 0
    if not can_fit or not number or next_answers <= 0:
        return None
    errors = ((~right).sum(axis=1) + 0.5) / (number + 1)
    # As if one more sample had told each round apart from the others, so that rounds which agree are not certain.
    apart = np.eye(num_rounds) / (number + 2) ** 2
    covariance = np.cov(right, bias=True).reshape(num_rounds, num_rounds) / number + apart
    ends = np.array([counts[-1], counts[-1] + next_answers])
    design, at_ends = _design(counts), _design(ends)
    fit = np.linalg.pinv(design)
    curve, last_two = np.exp(design @ fit @ np.log(errors)), np.exp(at_ends @ fit @ np.log(errors))
    gain = last_two[0] - last_two[1]
    # How the gain changes with the error of each round.
    slope = (last_two[0] * at_ends[0] - last_two[1] * at_ends[1]) @ fit / errors
    distances = errors - curve
    residual = np.eye(num_rounds) - design @ fit
    unexplained = max(0.0, float(distances @ distances - np.trace(residual @ covariance @ residual)))
    of_training = max(TRAINING_SD**2, unexplained / max(1, num_rounds - design.shape[1]))
    # The curve is uncertain, and both the last round and the next one end off the curve.
    spread = Z * math.sqrt(float(slope @ covariance @ slope) + (2 + float(slope @ slope)) * of_training)
    # More labels do not make a model worse, so a curve that rises by chance forecasts no gain instead of a loss.
    expected = max(0.0, float(gain))
    return expected, min(expected, float(gain)) - spread, expected + spread


def _design(counts: Floats) -> Floats:
    return np.stack([np.ones(len(counts)), np.log(counts)], axis=1)
