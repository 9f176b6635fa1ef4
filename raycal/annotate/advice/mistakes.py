"""How often the people of a team err, as far as their log shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

from raycal.algorithm.records import Kind
from raycal.people.fold import Book
from raycal.report.stats.estimate import CONFIDENCE

# With fewer pairs of answers than this, no error rate is estimated.
FEWEST_PAIRS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """The share of wrong answers about single samples, with its 95 % interval.

    Attributes:
        pairs: The number of pairs of independent answers to the same question.
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
    """Estimate the error rate from the questions about single samples that more than one answer labeled.

    The answer that counts is compared with each second opinion. The questions belong to the rounds or to the hold-out.
    """
    pairs = list(_pairs(book))
    differing = sum(first != second for first, second in pairs)
    if len(pairs) < FEWEST_PAIRS:
        return ErrorRate(pairs=len(pairs), differing=differing, rate=None, low=None, high=None)
    low, high = _wilson(differing, len(pairs))
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


def _pairs(book: Book) -> Iterator[tuple[int, int]]:
    for question, others in book.second_opinions.items():
        first = book.counted(question)
        if first is None or first.kind is not Kind.SAMPLE or first.label is None:
            continue
        for other in others:
            if other.label is not None and other.who != first.who:
                yield first.label, other.label


def _wilson(successes: int, number: int) -> tuple[float, float]:
    from scipy.stats import binomtest  # slow to import

    interval = binomtest(successes, number).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)
