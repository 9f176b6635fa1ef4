"""A mean over seeds with its spread and its 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The estimate of a value from n seeds.

    Attributes:
        n: The number of seeds.
        mean: The mean over the seeds.
        sd: The sample standard deviation. None if there is one seed.
        low: The lower end of the 95 % interval of the mean by Student's t. None if there is one seed.
        high: The upper end of the interval.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    def within(self, least: float, most: float) -> "Estimate":
        """Clip the interval to the smallest and the largest value that the mean can have.

        The true mean lies in the clipped interval exactly if it lies in the full interval, so the confidence stays 95
        %.
        """
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(least, self.low), high=min(most, self.high))

    def of_one_more(self, further_variance: float = 0.0) -> "Estimate":
        """The estimate of the value that one more seed gives: the same mean with the 95 % prediction interval.

        Args:
            further_variance: The variance of an error that all the seeds have in common.
        """
        if self.sd is None:
            return self
        half = t_quantile(self.n) * sqrt(self.sd**2 * (1 + 1 / self.n) + further_variance)
        return replace(self, low=self.mean - half, high=self.mean + half)

    def __str__(self) -> str:
        seeds = "1 seed" if self.n == 1 else f"{self.n} seeds"
        if self.low is None or self.high is None:
            return f"{number(self.mean)} ({seeds})"
        return f"{number(self.mean)} [{number(self.low)}, {number(self.high)}] ({seeds})"


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean, standard deviation and interval of the values, one value per seed. None if there are no values."""
    if not values:
        return None
    n, mean = len(values), fmean(values)
    if n == 1:
        return Estimate(n=1, mean=mean, sd=None, low=None, high=None)
    sd = stdev(values)
    half = t_quantile(n) * sd / sqrt(n)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half)


def t_quantile(n: int) -> float:
    """The half-width of the 95 % interval of a mean of n values, in standard errors."""
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def number(value: float) -> str:
    """Format a number for readers: whole numbers are written in full, others with four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
