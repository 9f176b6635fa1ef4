"""Tests what is concluded from probes: who misses how many, and how pure labeled clusters are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from raycal.algorithm.questions import Probe, Question, StepQuestions
from raycal.algorithm.records import Kind
from raycal.people.events import Answered, GivenAnswer, Purpose, Timing, Undone, from_line, to_line
from raycal.people.exact_interval import exact_interval, exact_upper_bound
from raycal.people.fold import fold
from raycal.people.prices import timed_answers
from raycal.people.probe_notes import note_of
from raycal.people.probe_results import MissRate, ProbeOutcome, ProbeResults
from raycal.people.purity import OddShare, QualityOfClusters, RandomBand, odd_share, quality_of_clusters, random_bands
from raycal.people.shown import random_samples

PROBES = (Probe(500, 1), Probe(501, 2))


def answer(seq: int, name: str = "1.0.0", who: str = "ana", label: int | None = 0, **changes: object) -> Answered:
    event = Answered(
        seq=seq,
        id=f"answer-{seq}",
        who=who,
        time="2026-01-01T00:00:00.000Z",
        question=name,
        kind=Kind.CLUSTER,
        answer=GivenAnswer.REFUSED if label is None else GivenAnswer.LABEL,
        label=label,
        purpose=Purpose.ROUND,
        timing=Timing(visible_ms=1000),
        shown=36,
        probes=PROBES,
    )
    return replace(event, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at_most", "says"), [(0.25, "at most 25.0% (95 % sure)"), (1.0, "and so few checks give no upper limit")]
)
def test_limit_that_says_nothing_is_not_given(at_most: float, says: str) -> None:
    odd = OddShare(clusters=3, seen=72, odd=5, share=0.1, at_most=at_most)
    quality = QualityOfClusters(misses=MissRate(shown=3, missed=1), misses_by_person={}, odd=odd, odd_by_person={})

    assert (
        f"about 10.0% of the images in these clusters are odd, {says}. Marked images" in quality.sentences("image")[1]
    )


def test_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = exact_interval(6, 60)
    assert (round(low, 4), round(high, 4)) == (0.0376, 0.2051)
    assert binom.sf(5, 60, low) == pytest.approx(0.025)
    assert binom.cdf(6, 60, high) == pytest.approx(0.025)
    assert exact_interval(0, 20) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    assert exact_interval(20, 20) == pytest.approx((0.025 ** (1 / 20), 1))
    assert exact_interval(0, 0) == (0, 1)
    assert binom.cdf(2, 37, exact_upper_bound(2, 37)) == pytest.approx(0.05)
    assert round(exact_upper_bound(0, 24), 4) == 0.1173


def test_probes_are_kept_in_the_log_and_lines_without_them_are_those_of_earlier_versions() -> None:
    event = answer(1, probes_found=(501,))
    assert from_line(to_line(event)) == event
    plain = answer(2, probes=())
    assert "probe" not in to_line(plain)
    assert from_line(to_line(plain)) == plain


def test_outcome_says_which_probes_were_found() -> None:
    results = ProbeResults([answer(1, probes_found=(501,))])
    assert results.outcome("answer-1") == ProbeOutcome(found=(501,), missed=(500,))
    assert results.by_person == {"ana": MissRate(shown=2, missed=1)}
    assert results.rate_of("bo") == MissRate()
    assert results.rate_of("bo").share is None


def test_probe_of_the_class_that_the_person_gives_says_nothing() -> None:
    results = ProbeResults([answer(1, label=1)])
    assert results.outcome("answer-1") == ProbeOutcome(found=(), missed=(501,))
    only = ProbeResults([answer(1, label=1, probes=PROBES[:1])])
    assert only.outcome("answer-1") is None
    assert only.by_person == {}


def test_answer_without_a_label_says_nothing_and_does_not_spend_the_probe() -> None:
    results = ProbeResults([answer(1, label=None), answer(2)])
    assert results.outcome("answer-1") is None
    assert results.outcome("answer-2") == ProbeOutcome(found=(), missed=(500, 501))


def test_answer_after_undo_is_no_test_any_more() -> None:
    undone = Undone(seq=2, id="undo-2", who="ana", time="", answer="answer-1")
    events = [answer(1), undone, answer(3, probes_found=(500, 501)), answer(4, who="bo", probes_found=(500,))]
    results = ProbeResults(fold(events).events.values())
    assert results.outcome("answer-3") is None
    assert results.by_person == {"ana": MissRate(shown=2, missed=2), "bo": MissRate(shown=2, missed=1)}
    assert results.of_all == MissRate(shown=4, missed=3)


def test_person_is_advised_once_after_three_missed_probes() -> None:
    events = [answer(seq, f"1.0.{seq}", probes=(Probe(600 + seq, 1),)) for seq in range(1, 8)]
    results = ProbeResults(events)
    advised = [one.has_missed_many for event in events if (one := results.outcome(event.id)) is not None]
    assert advised == [False, False, True, False, False, False, False]
    two_at_once = ProbeResults([answer(1), answer(2, "1.0.1", probes=(Probe(7, 1), Probe(8, 1)))])
    assert (two_at_once.outcome("answer-2") or ProbeOutcome(found=(), missed=())).has_missed_many


@pytest.mark.parametrize(
    ("found", "missed", "words"),
    [
        ((3,), (), "1 hidden check: found"),
        ((), (3,), "1 hidden check: missed"),
        ((3, 4), (), "2 hidden checks: found"),
        ((), (3, 4), "2 hidden checks: missed"),
        ((3,), (4,), "2 hidden checks: 1 found, 1 missed"),
    ],
)
def test_note_names_the_result_and_the_images(found: tuple[int, ...], missed: tuple[int, ...], words: str) -> None:
    note = note_of(ProbeOutcome(found=found, missed=missed), np.arange(10) * 10, "image")
    assert (note["text"], note["advice"]) == (words, "")
    assert note["found"] == [10 * one for one in found]
    assert note["missed"] == [10 * one for one in missed]
    advice = note_of(ProbeOutcome(found=(), missed=(1,), has_missed_many=True), np.arange(10), "text")["advice"]
    assert advice.startswith("You have missed 3 hidden checks so far")
    assert "odd texts are rare" in advice


def test_interval_covers_the_miss_rate_of_a_bot() -> None:
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        events = []
        for number in range(40):
            probes = tuple(Probe(10 * number + each, 1) for each in range(rng.integers(1, 3)))
            found = tuple(probe.sample for probe in probes if rng.random() >= 0.2)
            events.append(answer(number + 1, f"1.0.{number}", probes=probes, probes_found=found))
        rate = ProbeResults(events).rate_of("ana")
        low, high = rate.interval
        assert 0 < high - low < 0.35
        covered += low <= 0.2 <= high
    assert covered >= 93


def cluster(number: int, size: int = 60, probes: tuple[Probe, ...] = ()) -> Question:
    return Question(id=f"1.0.{number}", by_distance=1000 * number + np.arange(size), probes=probes)


def step(*questions: Question) -> StepQuestions:
    return StepQuestions(iteration=1, step=0, kind=Kind.CLUSTER, budget=len(questions), first=questions)


def test_only_random_images_of_labeled_clusters_count() -> None:
    probed, plain, small, refused = cluster(0, probes=PROBES), cluster(1), cluster(2, size=36), cluster(3)
    odd = random_samples(probed, 36)[[0, 5]].tolist()
    farthest = probed.by_distance[-1]
    events = [
        answer(1, "1.0.0", marked=(*odd, int(farthest))),
        answer(2, "1.0.1", probes=(), shown=60, marked=tuple(random_samples(plain, 60)[[23, 30]].tolist())),
        answer(3, "1.0.2", probes=(), marked=(2003,)),
        answer(4, "1.0.3", probes=(), label=None),
    ]
    book = fold(events)
    bands = random_bands(book, [step(probed, plain, small, refused)])
    assert bands == [RandomBand(who="ana", seen=22, odd=2), RandomBand(who="ana", seen=48, odd=2)]
    quality = quality_of_clusters(book, [step(probed, plain, small, refused)])
    assert quality is not None
    assert quality.misses == MissRate(shown=2, missed=2)
    assert quality.odd == quality.odd_by_person["ana"]


def test_share_of_odd_images_is_corrected_by_the_miss_rate() -> None:
    bands = [RandomBand(who="ana", seen=24, odd=1), RandomBand(who="bo", seen=76, odd=3)]
    share = odd_share(bands, MissRate(shown=50, missed=10))
    assert share is not None
    assert (share.clusters, share.seen, share.odd) == (2, 100, 4)
    assert share.share == pytest.approx(0.04 / 0.8)
    most_odd, most_missed = (exact_interval(*pair)[1] for pair in ((4, 100), (10, 50)))
    assert share.at_most == pytest.approx(most_odd / (1 - most_missed))
    assert odd_share([], MissRate(shown=50, missed=10)) is None
    assert odd_share(bands, MissRate()) is None
    everything_missed = odd_share(bands, MissRate(shown=2, missed=2))
    assert everything_missed is not None
    assert (everything_missed.share, everything_missed.at_most) == (1, 1)


def test_bound_covers_the_share_of_odd_images_that_bots_overlook() -> None:
    covered, estimates = 0, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        odd = int(rng.binomial(30 * 24, 0.05 * 0.8))  # One in twenty images is odd, and one in five of these is missed.
        share = odd_share(
            [RandomBand(who="ana", seen=30 * 24, odd=odd)], MissRate(shown=60, missed=int(rng.binomial(60, 0.2)))
        )
        assert share is not None
        covered += share.at_most >= 0.05
        estimates.append(share.share)
    assert covered >= 93
    assert np.mean(estimates) == pytest.approx(0.05, abs=0.003)


def test_project_without_a_telling_probe_has_no_quality() -> None:
    assert quality_of_clusters(fold([answer(1, probes=())]), [step(cluster(0))]) is None


def test_marks_of_probes_are_part_of_the_price_because_they_took_time() -> None:
    (timed,) = timed_answers(fold([answer(1, marked=(3,), probes_found=(500, 501))]))
    assert timed.marked == 3
