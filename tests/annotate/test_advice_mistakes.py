"""Tests the error rate of a team that the labels of two people show."""

import numpy as np
import pytest

from raycal.algorithm.records import Kind
from raycal.annotate.advice.mistakes import FEWEST_PAIRS, error_rate, rate_of_disagreement
from raycal.people.events import Answered, Event, GivenAnswer, Purpose, Timing
from raycal.people.fold import fold

CLASSES = tuple("abcde")


def answered(seq: int, question: str, who: str, label: int | None, kind: Kind = Kind.SAMPLE) -> Answered:
    return Answered(
        seq=seq,
        id=f"{seq:032x}",
        who=who,
        time="2026-11-28T00:00:00+00:00",
        question=question,
        kind=kind,
        answer=GivenAnswer.UNSURE if label is None else GivenAnswer.LABEL,
        label=label,
        purpose=Purpose.ROUND,
        timing=Timing(visible_ms=1000),
    )


def pairs(labels: list[tuple[int | None, int | None]], kind: Kind = Kind.SAMPLE, second: str = "ben") -> list[Event]:
    """Two answers to each question, by ana and by another person."""
    events: list[Event] = []
    for number, (first, other) in enumerate(labels):
        question = f"0.0.{number}"
        events.append(answered(2 * number + 1, question, "ana", first, kind))
        events.append(answered(2 * number + 2, question, second, other, kind))
    return events


@pytest.mark.parametrize(
    ("disagreement", "num_classes", "rate"),
    [
        (0.0, 5, 0.0),
        (2 * 0.1 * 0.9, 2, 0.1),  # with two classes, two wrong answers agree
        (2 * 0.2 * 0.8 + 0.2**2 * 8 / 9, 10, 0.2),
        (0.9, 10, 0.9),  # random labels
        (1.0, 10, 0.9),
        (0.3, 1, 0.0),
    ],
)
def test_rate_that_explains_a_disagreement(disagreement: float, num_classes: int, rate: float) -> None:
    assert rate_of_disagreement(disagreement, num_classes) == pytest.approx(rate)


def test_pairs_of_labels_for_single_samples_count() -> None:
    labels: list[tuple[int | None, int | None]] = [(0, 1)] * 4 + [(2, 2)] * 36

    found = error_rate(fold(pairs(labels), CLASSES))

    assert (found.pairs, found.differing) == (40, 4)
    assert found.rate == pytest.approx(rate_of_disagreement(0.1, 5))
    assert found.low is not None
    assert found.high is not None
    # The Wilson interval of 4 of 40 is 0.0396 to 0.2305.
    assert found.low == pytest.approx(rate_of_disagreement(0.0396, 5), abs=1e-4)
    assert found.high == pytest.approx(rate_of_disagreement(0.2305, 5), abs=1e-4)


def test_questions_that_are_shared_on_purpose_count() -> None:
    firsts = [answered(number + 1, f"0.0.{number}", "ana", 1) for number in range(FEWEST_PAIRS)]
    shared = [answered(100 + one.seq, f"shared.{one.seq}", "ben", 0 if one.seq <= 2 else 1) for one in firsts]

    found = error_rate(fold([*firsts, *shared], CLASSES))

    assert (found.pairs, found.differing) == (FEWEST_PAIRS, 2)


@pytest.mark.parametrize(
    "events",
    [
        pairs([(0, 1)] * FEWEST_PAIRS, Kind.CLUSTER),
        pairs([(0, None)] * FEWEST_PAIRS),
        pairs([(None, 0)] * FEWEST_PAIRS),
        pairs([(0, 1)] * FEWEST_PAIRS, second="ana"),
    ],
    ids=["clusters", "no second label", "no first label", "same person"],
)
def test_other_pairs_do_not_count(events: list[Event]) -> None:
    assert error_rate(fold(events, CLASSES)).pairs == 0


def test_few_pairs_give_no_rate() -> None:
    found = error_rate(fold(pairs([(0, 1)] * (FEWEST_PAIRS - 1)), CLASSES))

    assert (found.pairs, found.rate, found.low, found.high) == (FEWEST_PAIRS - 1, None, None, None)


def test_interval_covers_the_rate_of_people_who_err_independently() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.integers(5, size=300)

        def perceived(rng: np.random.Generator = rng, truth: np.ndarray = truth) -> list[int]:
            errs = rng.random(300) < 0.15
            return np.where(errs, (truth + rng.integers(1, 5, size=300)) % 5, truth).tolist()

        found = error_rate(fold(pairs(list(zip(perceived(), perceived(), strict=True))), CLASSES))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.15 <= found.high

    assert covered >= 93
