"""A mean over seeds with its spread and its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What n seeds say of a number.

    Attributes:
        sd: Sample standard deviation; None of one seed.
        low: Lower end of the 95 % interval of the mean by Student's t; None of one seed.
        high: Its upper end.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    def within(self, least: float, most: float) -> "Estimate":
        """The same estimate with its interval cut off at the smallest and the largest value that the mean can have.

        The mean lies in the cut interval exactly when it lies in the whole one, so the confidence stays 95 %.
        """
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(least, self.low), high=min(most, self.high))

    def __str__(self) -> str:
        seeds = "1 seed" if self.n == 1 else f"{self.n} seeds"
        if self.low is None or self.high is None:
            return f"{number(self.mean)} ({seeds})"
        return f"{number(self.mean)} [{number(self.low)}, {number(self.high)}] ({seeds})"


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean, standard deviation and interval of the values, one per seed; None without any."""
    if not values:
        return None
    n, mean = len(values), fmean(values)
    if n == 1:
        return Estimate(n=1, mean=mean, sd=None, low=None, high=None)
    sd = stdev(values)
    half = t_quantile(n) * sd / sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half)


def t_quantile(n: int) -> float:
    """How many standard errors the 95 % interval of a mean of n values reaches to either side."""
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def number(value: float) -> str:
    """A number for readers: whole ones in full, of others four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
