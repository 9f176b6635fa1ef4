"""Summarizes what each person did.

The owner of a project gets these summaries with the export. Nothing else that raycal writes has values of a person
under the person's pseudonym, except the log of answers and the files beside the ledger.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from raycal.algorithm.records import Kind
from raycal.people.agreement import Pair
from raycal.people.answer_files import Role, role_of
from raycal.people.check_ids import CHECKS
from raycal.people.clock import answer_ms
from raycal.people.events import Answered, Purpose
from raycal.people.fold import Book, Given
from raycal.people.gold_results import FirstAnswers, GoldResults
from raycal.people.probe_results import MissRate, ProbeResults
from raycal.people.quality import repeated_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSummary:
    """The work of one person.

    An answer is counted once: by its purpose if it counts, and else as taken back, late or answered second.

    Attributes:
        annotator: The pseudonym.
        single_images: The number of answers about single images in the rounds.
        clusters: The number of answers about clusters.
        holdout: The number of answers about the hold-out.
        checks: The number of answers to questions that check labels.
        taken_back: The number of answers that the person took back.
        late: The number of answers that came after their step was closed.
        answered_second: The number of answers about a question that already had an answer, as can happen if two pages
            have the same question. A check is a question of its own.
        probes: The number of hidden probes that say something about the person; the first answer to a question counts,
            also if it was taken back, because it did not know the probes.
        probes_missed: How many of these the person missed.
        answered_second_agreeing: How many of these have the label, or the refusal, of the answer that counts.
        repeated: The number of samples that the person labeled once more in a check, without seeing the first label.
        repeated_agreeing: How many of these samples got the same label again.
        first_answers: The number of known samples that the person was asked first, as a newcomer.
        first_answers_right: How many of these the person gave the known label.
        first_answers_low, first_answers_high: The 95 % interval by Wilson of the share of right first answers. None
            without such an answer.
        minutes_in_rounds: The time of the answers that count in the rounds, with the answers to the same questions that
            were taken back. The sum over all people is the time of the ledger and of the card.
        minutes_in_all: The time of all answers: also of the hold-out, checks, first answers, second and late answers.
        seconds_per_image: The median time of all answers about single images, whatever became of them; None without
            such an answer.
        seconds_per_cluster: The median time of all answers about clusters; None without such an answer.
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
    minutes_in_rounds: float
    minutes_in_all: float
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
    by_role: dict[Role, list[Answered]] = {role: [] for role in Role}
    for one in given:
        by_role[role_of(book, one)].append(one.event)
    counted, second = by_role[Role.COUNTED], by_role[Role.SECOND_OPINION]
    paid = [
        event
        for event in (*counted, *by_role[Role.TAKEN_BACK])
        if event.purpose is Purpose.ROUND and book.counted(event.question) is not None
    ]
    low, high = first.interval or (None, None)
    return PersonSummary(
        annotator=who,
        single_images=sum(event.purpose is Purpose.ROUND and event.kind is Kind.SAMPLE for event in counted),
        clusters=sum(event.kind is Kind.CLUSTER for event in counted),
        holdout=sum(event.purpose is Purpose.HOLDOUT for event in counted),
        checks=sum(event.purpose in CHECKS for event in counted),
        taken_back=len(by_role[Role.TAKEN_BACK]),
        late=len(by_role[Role.LATE]),
        answered_second=len(second),
        answered_second_agreeing=sum(_agrees(book, event) for event in second),
        probes=misses.shown,
        probes_missed=misses.missed,
        repeated=len(repeated),
        repeated_agreeing=sum(first == second for first, second in repeated),
        first_answers=first.asked,
        first_answers_right=first.agreeing,
        first_answers_low=low,
        first_answers_high=high,
        minutes_in_rounds=sum(map(answer_ms, paid)) / 60_000,
        minutes_in_all=sum(answer_ms(one.event) for one in given) / 60_000,
        seconds_per_image=_median_seconds(single),
        seconds_per_cluster=_median_seconds(clusters),
    )


def _agrees(book: Book, event: Answered) -> bool:
    """Whether a second opinion is the answer that counts."""
    counted = book.counted(event.question)
    return counted is not None and counted.label == event.label


def _median_seconds(given: Sequence[Given]) -> float | None:
    return statistics.median(answer_ms(one.event) for one in given) / 1000 if given else None
