"""What the answers of a team cost: the prices of the simulated experts, fitted from the log.

A simulated expert takes `seconds_per_sample` for an image and, for a cluster, `seconds_per_cluster` and
`seconds_per_image_shown` for each image shown. With the prices that are fitted here, a simulation takes the time that
this team would take, so strategies can be compared in the team's own minutes before anybody labels.

All estimates are medians, or medians of slopes (Theil-Sen), because some answers take far longer than usual.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Kind
from raycal.people.clock import answer_ms
from raycal.people.events import GivenAnswer, Purpose
from raycal.people.fold import Book

# With fewer answers than this, no price is estimated.
FEWEST = 10
# More answers of one kind than this are not used, because the slopes of all pairs of them would take too long. The
# newest answers are used, because people become faster.
MOST = 1000
CONFIDENCE = 0.95
# The slopes for the images shown and for the marks are estimated in turn, until both change by less than this.
_TOLERANCE, _MOST_TURNS = 1e-6, 50

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """An estimated price in seconds, with its 95 % interval, from a number of answers."""

    seconds: float
    low: float
    high: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAnswer:
    """The time that an answer took.

    Attributes:
        is_cluster: Whether the question was about a cluster.
        is_refused: Whether the cluster got no label: it was mixed, split, or nobody could tell.
        shown: The number of images on the screen.
        marked: The number of images that the person marked as odd.
    """

    is_cluster: bool
    is_refused: bool
    shown: int
    marked: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of a team. A price is None if there are too few answers to estimate it.

    Attributes:
        sample: The price of a single image.
        cluster: The price of a labeled cluster, besides its images and marks.
        per_image: The additional price of each image shown. Also None if all clusters showed about the same number of
            images.
        per_mark: The additional price of each image that was marked as odd. Also None if hardly any image was marked.
        refused: The price of a refused cluster, besides its images.
        num_samples: The number of answers about single images.
        num_labeled: The number of labeled clusters.
        num_refused: The number of refused clusters.
        mean_marked: The mean number of marks in a labeled cluster.
        most_shown: The largest number of images that were shown of a cluster.
    """

    sample: Price | None
    cluster: Price | None
    per_image: Price | None
    per_mark: Price | None
    refused: Price | None
    num_samples: int
    num_labeled: int
    num_refused: int
    mean_marked: float
    most_shown: int


def timed_answers(book: Book) -> list[TimedAnswer]:
    """The answers in the log by their place, without those that were taken back.

    The time of an answer that was taken back is added to that of the next answer to the same question, as in the
    ledger. Answers about the hold-out, late answers and second opinions took as much work as others, so they count,
    too. A look again does not count, because it asks about a sample that is harder than others.
    """
    waiting: dict[str, int] = {}
    found = []
    for given in book.all_answers():
        event = given.event
        if event.purpose is Purpose.LOOK_AGAIN:
            continue
        if given.undone_at is not None:
            waiting[event.question] = waiting.get(event.question, 0) + answer_ms(event)
            continue
        found.append(
            TimedAnswer(
                is_cluster=event.kind is Kind.CLUSTER,
                is_refused=event.answer is not GivenAnswer.LABEL,
                shown=event.shown,
                marked=len(event.marked) + len(event.probes_found),
                seconds=(answer_ms(event) + waiting.pop(event.question, 0)) / 1000,
            )
        )
    return found


def fit_prices(answers: Sequence[TimedAnswer]) -> Prices:
    """The prices of a team, fitted to the times of its answers."""
    samples = [one for one in answers if not one.is_cluster]
    labeled = [one for one in answers if one.is_cluster and not one.is_refused]
    refused = [one for one in answers if one.is_cluster and one.is_refused]
    cluster, per_image, per_mark = _fit_labeled(labeled[-MOST:])
    return Prices(
        sample=_median(np.array([one.seconds for one in samples[-MOST:]])),
        cluster=cluster,
        per_image=per_image,
        per_mark=per_mark,
        refused=_fit_refused(refused[-MOST:], per_image),
        num_samples=len(samples),
        num_labeled=len(labeled),
        num_refused=len(refused),
        mean_marked=float(np.mean([one.marked for one in labeled])) if labeled else 0.0,
        most_shown=max((one.shown for one in (*labeled, *refused)), default=0),
    )


def oracle_options(prices: Prices) -> dict[str, float]:
    """The known prices as options of the simulated expert `oracle`, with three significant digits. Empty if no price is
    known.

    `seconds_per_cluster` includes the mean time that people spent on the marks of a cluster, because a simulated expert
    marks nothing.
    """
    options: dict[str, float] = {}
    if prices.sample is not None:
        options["seconds_per_sample"] = prices.sample.seconds
    if prices.cluster is not None:
        per_mark = 0.0 if prices.per_mark is None else prices.per_mark.seconds
        options["seconds_per_cluster"] = prices.cluster.seconds + per_mark * prices.mean_marked
    if prices.per_image is not None:
        options["seconds_per_image_shown"] = prices.per_image.seconds
    if prices.refused is not None:
        options["seconds_per_refused_cluster"] = prices.refused.seconds
    return {name: float(rounded(value)) for name, value in options.items()}


def rounded(value: float) -> str:
    """The value with three significant digits, and without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _median(seconds: Floats) -> Price | None:
    """The median with the interval of its order statistics. None if there are too few values."""
    if len(seconds) < FEWEST:
        return None
    low, high = _order_interval(seconds)
    return Price(seconds=float(np.median(seconds)), low=low, high=high, number=len(seconds))


def _order_interval(values: Floats) -> tuple[float, float]:
    """The values between which the true median lies with a confidence of at least 95 %, whatever the distribution."""
    from scipy.stats import binom  # takes a second to import, and a labeling server does not need it

    ordered = np.sort(values)
    cut = max(1, int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)))
    return float(ordered[cut - 1]), float(ordered[-cut])


def _fit_labeled(answers: Sequence[TimedAnswer]) -> tuple[Price | None, Price | None, Price | None]:
    """The fixed price of a cluster, the price of an image, and the price of a mark.

    The two slopes are estimated in turn, each from the time that the other one leaves unexplained. The interval of the
    fixed price allows for any price of an image in that price's interval.
    """
    if len(answers) < FEWEST:
        return None, None, None
    seconds = np.array([one.seconds for one in answers])
    shown = np.array([one.shown for one in answers], np.float64)
    marked = np.array([one.marked for one in answers], np.float64)
    image: Price | None = None
    mark: Price | None = None
    for _ in range(_MOST_TURNS):
        before = _seconds(image), _seconds(mark)
        image = _slope(seconds - _seconds(mark) * marked, shown)
        mark = _slope(seconds - _seconds(image) * shown, marked)
        if max(abs(_seconds(image) - before[0]), abs(_seconds(mark) - before[1])) < _TOLERANCE:
            break
    rest = seconds - _seconds(mark) * marked
    fixed = _fixed(rest, shown, image)
    if fixed.seconds == 0 and image is not None:  # then the line goes through the origin
        ratio = _median(rest / shown)
        image = ratio and Price(seconds=max(0.0, ratio.seconds), low=image.low, high=image.high, number=len(answers))
    return fixed, image, mark


def _fit_refused(answers: Sequence[TimedAnswer], per_image: Price | None) -> Price | None:
    if len(answers) < FEWEST:
        return None
    seconds = np.array([one.seconds for one in answers])
    return _fixed(seconds, np.array([one.shown for one in answers], np.float64), per_image)


def _fixed(seconds: Floats, shown: Floats, per_image: Price | None) -> Price:
    """What an answer costs besides its images."""
    value = float(np.median(seconds - _seconds(per_image) * shown))
    most, least = (0.0, 0.0) if per_image is None else (per_image.high, per_image.low)
    low, high = _order_interval(seconds - most * shown)[0], _order_interval(seconds - least * shown)[1]
    return Price(seconds=max(0.0, value), low=max(0.0, low), high=max(0.0, high), number=len(seconds))


def _slope(values: Floats, x: Floats) -> Price | None:
    """The median slope of all pairs with different x. None if nearly all values have the same x."""
    from scipy.stats import theilslopes

    _, counts = np.unique(x, return_counts=True)
    if len(x) - counts.max() < FEWEST // 2:
        return None
    fitted = theilslopes(values, x, CONFIDENCE)
    slope, low, high = (max(0.0, float(one)) for one in (fitted.slope, fitted.low_slope, fitted.high_slope))
    return Price(seconds=slope, low=low, high=high, number=len(values))


def _seconds(price: Price | None) -> float:
    return 0.0 if price is None else price.seconds
