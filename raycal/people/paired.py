"""Compares two models on the same test samples.

The accuracies of two models on the same samples rise and fall together, so the interval of their difference is much
shorter than the intervals of both accuracies suggest. Only the samples count of which exactly one model is right.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from raycal.people.results import wilson_interval

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedGain:
    """How much more accurate the later of two models is.

    Attributes:
        gain: The difference of the accuracies, as a share.
        low, high: The 95 % interval of the difference.
        number: The number of samples on which both models were measured.
        won: Of these, the number of samples that only the later model gets right.
        lost: The number of samples that only the earlier model gets right.
        p_value: The two-sided p-value of McNemar's exact test that both models are equally accurate.
    """

    gain: float
    low: float
    high: float
    number: int
    won: int
    lost: int
    p_value: float


def paired_gain(earlier: Flags, later: Flags) -> PairedGain | None:
    """Compare two models. None without a sample.

    Args:
        earlier: (H,) Whether the earlier model is right about each sample.
        later: (H,) The same for the later model.
    """
    number = len(earlier)
    if not number:
        return None
    won, lost = int((later & ~earlier).sum()), int((earlier & ~later).sum())
    both = int((earlier & later).sum())
    low, high = paired_interval(both, won, lost, number - both - won - lost)
    gain = (won - lost) / number
    return PairedGain(
        gain=gain, low=low, high=high, number=number, won=won, lost=lost, p_value=mcnemar_p_value(won, lost)
    )


def mcnemar_p_value(won: int, lost: int) -> float:
    """The two-sided p-value of McNemar's exact test: of the samples of which exactly one model is right, each model is
    right about each with probability 1/2 if both are equally accurate."""
    number = won + lost
    return min(1.0, 2 * float(bdtr(min(won, lost), number, 0.5))) if number else 1.0


def paired_interval(both: int, won: int, lost: int, neither: int) -> tuple[float, float]:
    """The 95 % interval of the gain, from the numbers of samples that both models, only the later, only the earlier, or
    neither of them gets right.

    This is method 10 of Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data" (Statistics in Medicine 17, 1998): the Wilson intervals of both accuracies, combined under their
    correlation. It stays within -1 and 1 and has a length above zero even if both models agree about all samples, where
    the interval of the normal approximation has the length zero.
    """
    number = both + won + lost + neither
    later, earlier = (both + won) / number, (both + lost) / number
    (later_low, later_high), (earlier_low, earlier_high) = _wilson(later, number), _wilson(earlier, number)
    correlation = _correlation(both, won, lost, neither)

    def length(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))

    gain = later - earlier
    low = gain - length(later - later_low, earlier_high - earlier)
    high = gain + length(later_high - later, earlier - earlier_low)
    return max(-1.0, low), min(1.0, high)


def _wilson(share: float, number: int) -> tuple[float, float]:
    interval = wilson_interval(share, number)
    assert interval is not None
    return interval


def _correlation(both: int, won: int, lost: int, neither: int) -> float:
    """The correlation of being right, with the continuity correction of Newcombe's method 10."""
    product = (both + won) * (lost + neither) * (both + lost) * (won + neither)
    if not product:
        return 0.0
    difference = float(both * neither - won * lost)
    if difference > 0:
        difference = max(0.0, difference - (both + won + lost + neither) / 2)
    return difference / math.sqrt(product)
