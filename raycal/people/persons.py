"""Summarizes what each person did.

The owner of a project gets these summaries with the export. Nothing else that raycal writes has values of a person
under the person's pseudonym, except the log of answers and the files beside the ledger.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from raycal.algorithm.records import Kind
from raycal.people.agreement import Pair
from raycal.people.check_ids import CHECKS
from raycal.people.clock import answer_ms
from raycal.people.events import Purpose
from raycal.people.fold import Arrival, Book, Given
from raycal.people.gold_results import FirstAnswers, GoldResults
from raycal.people.probe_results import MissRate, ProbeResults
from raycal.people.quality import repeated_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """The work of one person.

    Attributes:
        annotator: The pseudonym.
        single_images: The number of answers about single images in the rounds.
        clusters: The number of answers about clusters.
        holdout: The number of answers about the hold-out.
        checks: The number of answers to questions that check labels.
        taken_back: How many of all these answers the person took back.
        late: How many of these answers came after their step was closed.
        answered_second: How many of these answers were about a question that another person had already answered, as
            can happen if two pages have the same question. A check is a question of its own.
        probes: The number of hidden probes that say something about the person.
        probes_missed: How many of these the person missed.
        answered_second_agreeing: How many of these have the label, or the refusal, of the answer that counts.
        repeated: The number of samples that the person labeled once more in a check, without seeing the first label.
        repeated_agreeing: How many of these samples got the same label again.
        first_answers: The number of known samples that the person was asked first, as a newcomer.
        first_answers_right: How many of these the person gave the known label.
        first_answers_low, first_answers_high: The 95 % interval by Wilson of the share of right first answers. None
            without such an answer.
        minutes: The time that the person spent on all answers, including late and taken-back ones.
        seconds_per_image: The median time of an answer about a single image or the hold-out; None without such an
            answer.
        seconds_per_cluster: The median time of an answer about a cluster; None without such an answer.
    """

    annotator: str
    single_images: int
    clusters: int
    holdout: int
    checks: int
    taken_back: int
    late: int
    answered_second: int
    answered_second_agreeing: int
    probes: int
    probes_missed: int
    repeated: int
    repeated_agreeing: int
    first_answers: int
    first_answers_right: int
    first_answers_low: float | None
    first_answers_high: float | None
    minutes: float
    seconds_per_image: float | None
    seconds_per_cluster: float | None


def summarize_people(book: Book) -> list[PersonSummary]:
    """One summary for each person who answered, by pseudonym."""
    by_person: dict[str, list[Given]] = {}
    for one in book.all_answers():
        by_person.setdefault(one.event.who, []).append(one)
    repeated, probes, gold = (
        repeated_labels(book),
        ProbeResults(book.events.values()),
        GoldResults(book.events.values()),
    )
    return [
        _summary(book, who, given, repeated.get(who, ()), probes.rate_of(who), gold.of(who))
        for who, given in sorted(by_person.items())
    ]


def _summary(
    book: Book, who: str, given: Sequence[Given], repeated: Sequence[Pair], misses: MissRate, first: FirstAnswers
) -> PersonSummary:
    single = [one for one in given if one.event.kind is Kind.SAMPLE]
    clusters = [one for one in given if one.event.kind is Kind.CLUSTER]
    standing = [one for one in given if one.undone_at is None]
    second = [
        (one, counted)
        for one in standing
        if one.arrival is not Arrival.LATE
        and (counted := book.counted(one.event.question)) is not None
        and counted is not one.event
        and counted.who != who
    ]
    low, high = first.interval or (None, None)
    return PersonSummary(
        annotator=who,
        single_images=sum(one.event.purpose is Purpose.ROUND for one in single),
        clusters=len(clusters),
        holdout=sum(one.event.purpose is Purpose.HOLDOUT for one in single),
        checks=sum(one.event.purpose in CHECKS for one in single),
        taken_back=len(given) - len(standing),
        late=sum(one.arrival is Arrival.LATE for one in given),
        answered_second=len(second),
        answered_second_agreeing=sum(one.event.label == counted.label for one, counted in second),
        probes=misses.shown,
        probes_missed=misses.missed,
        repeated=len(repeated),
        repeated_agreeing=sum(first == second for first, second in repeated),
        first_answers=first.asked,
        first_answers_right=first.agreeing,
        first_answers_low=low,
        first_answers_high=high,
        minutes=sum(answer_ms(one.event) for one in given) / 60_000,
        seconds_per_image=_median_seconds(single),
        seconds_per_cluster=_median_seconds(clusters),
    )


def _median_seconds(given: Sequence[Given]) -> float | None:
    return statistics.median(answer_ms(one.event) for one in given) / 1000 if given else None
