"""How often the people of a team err, as far as their log shows it."""

from dataclasses import dataclass
from itertools import combinations
from math import sqrt

from raycal.people.fold import Book
from raycal.people.quality import labels_of_people
from raycal.people.results import wilson_interval

# With fewer pairs of answers than this, no error rate is estimated.
FEWEST_PAIRS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """The share of wrong answers about single samples, with its 95 % interval.

    Attributes:
        pairs: The number of pairs of labels that two people gave to the same sample independently of each other.
        differing: The number of these pairs whose labels differ.
        rate: The estimated share of wrong answers. None if there are too few pairs.
        low: The lower end of the interval. None if there are too few pairs.
        high: The upper end of the interval. None if there are too few pairs.
    """

    pairs: int
    differing: int
    rate: float | None
    low: float | None
    high: float | None


def error_rate(book: Book) -> ErrorRate:
    """Estimate the error rate from the samples that several people labeled alone: each two people are a pair."""
    pairs = [pair for labels in labels_of_people(book) for pair in combinations(labels.values(), 2)]
    differing = sum(first != second for first, second in pairs)
    if len(pairs) < FEWEST_PAIRS:
        return ErrorRate(pairs=len(pairs), differing=differing, rate=None, low=None, high=None)
    low, high = wilson_interval(differing / len(pairs), len(pairs)) or (0.0, 1.0)
    rate, at_low, at_high = (
        rate_of_disagreement(share, book.num_classes) for share in (differing / len(pairs), low, high)
    )
    return ErrorRate(pairs=len(pairs), differing=differing, rate=rate, low=at_low, high=at_high)


def rate_of_disagreement(disagreement: float, num_classes: int) -> float:
    """The error rate of two people who err equally often and independently of each other, and who differ this often.

    With the error rate e and K classes that are confused equally often, two labels differ with the probability
    2 e (1 - e) + e^2 (K - 2) / (K - 1) = 2 e - e^2 K / (K - 1). The smaller solution of this equation is returned. It
    is at most (K - 1) / K, at which the labels are random.
    """
    if num_classes < 2:
        return 0.0
    most = (num_classes - 1) / num_classes
    return most * (1 - sqrt(max(0.0, 1 - disagreement / most)))
