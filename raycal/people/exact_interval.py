"""The exact interval of a share, by Clopper and Pearson.

It covers the true share at least as often as it promises, also with few observations.
"""

from scipy.special import betaincinv


def exact_interval(count: int, number: int, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided interval of a share of which `count` of `number` observations were seen."""
    alpha = (1 - confidence) / 2
    low = 0.0 if count <= 0 else float(betaincinv(count, number - count + 1, alpha))
    return low, exact_upper_bound(count, number, 1 - alpha)


def exact_upper_bound(count: int, number: int, confidence: float = 0.95) -> float:
    """The one-sided upper bound of a share of which `count` of `number` observations were seen."""
    return 1.0 if count >= number else float(betaincinv(count + 1, number - count, confidence))
