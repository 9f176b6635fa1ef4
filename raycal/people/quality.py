"""What the answers of a project say about the quality of its labels.

A sample that two people labeled alone says how well they agree. So do shared questions, and second opinions, which a
person gave without knowing that somebody else was answering the same question.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Indices, Kind, Labels
from raycal.people.agreement import Pair, cohen_kappa, confused_pairs, krippendorff_alpha
from raycal.people.amendments import LookCounts, looks_of
from raycal.people.check_ids import check_of
from raycal.people.cluster_labels import newest_cluster_labels
from raycal.people.disagreements import replies_of
from raycal.people.events import Answered, Purpose
from raycal.people.fold import Arrival, Book
from raycal.people.label_error import LabelErrorEstimate, estimate_label_error
from raycal.people.results import wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How often two labels of the same sample are equal.

    Attributes:
        people: The two people or, for the agreement of a person with herself or himself, that person alone.
        number: The number of samples with two labels.
        agreeing: How many of these samples have equal labels.
        kappa: Cohen's kappa. None if it is not defined.
    """

    people: tuple[str, ...]
    number: int
    agreeing: int
    kappa: float | None = None

    @property
    def share(self) -> float:
        """The share of samples with equal labels."""
        return self.agreeing / self.number

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share by Wilson."""
        return wilson_interval(self.share, self.number) or (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """The quality of the labels of a project. Whatever nothing is known about is empty or None.

    Attributes:
        with_themselves: For each person, the agreement with an earlier label of the same person.
        pairs: For each two people, their agreement.
        alpha: Krippendorff's alpha of all labels that different people gave to the same samples.
        confused: Which two classes people gave to the same sample, and how often; the most frequent ones first.
        error: The error of the labels that clusters gave.
        looks: How many samples people looked at again, because their labels were in doubt.
    """

    with_themselves: tuple[Agreement, ...] = ()
    pairs: tuple[Agreement, ...] = ()
    alpha: float | None = None
    confused: tuple[tuple[Pair, int], ...] = ()
    error: LabelErrorEstimate | None = None
    looks: LookCounts = field(default_factory=LookCounts)

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return bool(self.with_themselves or self.pairs or self.looks.number) or self.error is not None


def quality_of(book: Book, steps: Sequence[StepQuestions]) -> Quality:
    """The quality of the labels that people gave.

    Args:
        book: The answers.
        steps: The questions of all steps, from the oldest to the newest one.
    """
    by_pair = defaultdict[tuple[str, ...], list[Pair]](list)
    units = labels_of_people(book)
    for labels in units:
        for first, second in combinations(sorted(labels), 2):
            by_pair[first, second].append((labels[first], labels[second]))
    return Quality(
        with_themselves=tuple(_agreement((who,), pairs) for who, pairs in sorted(repeated_labels(book).items())),
        pairs=tuple(_agreement(people, by_pair[people], has_kappa=True) for people in sorted(by_pair)),
        alpha=krippendorff_alpha([tuple(labels.values()) for labels in units]),
        confused=tuple(confused_pairs(pair for pairs in by_pair.values() for pair in pairs)),
        error=_error(book, steps),
        looks=LookCounts.of(looks_of(book, steps)),
    )


def repeated_labels(book: Book) -> dict[str, list[Pair]]:
    """For each person, the first and the second label of the samples that this person labeled twice."""
    found = defaultdict[str, list[Pair]](list)
    for original, event in _checked(book):
        if original.who == event.who:
            found[event.who].append((original.label or 0, event.label or 0))
    return dict(found)


def labels_of_people(book: Book) -> list[dict[str, int]]:
    """For each sample that several people labeled alone, the first label of each person."""
    units = defaultdict[str, dict[str, int]](dict)
    for given in book.all_answers():
        event = given.event
        is_single = event.kind is Kind.SAMPLE and check_of(event.question) is None
        stands = given.undone_at is None and given.arrival is not Arrival.LATE
        if is_single and stands and event.label is not None:
            units[event.question].setdefault(event.who, event.label)
    for original, event in _checked(book):
        units[original.question].setdefault(event.who, event.label or 0)
    return [labels for labels in units.values() if len(labels) > 1]


def audited_labels(book: Book) -> dict[int, int]:
    """The label that a person gave to a sample of the pool in an audit, by the sample."""
    found = {}
    for question in book.questions:
        check = check_of(question)
        if check is not None and check.purpose is Purpose.AUDIT:
            event = book.counted(question)
            if event is not None and event.label is not None:
                found[check.number] = event.label
    return dict(sorted(found.items()))


def audit_error(
    index: Indices, label: Labels, stratum: Indices, audited: Mapping[int, int]
) -> LabelErrorEstimate | None:
    """The error of some labels, as far as an audit has checked them.

    Args:
        index: (n,) The samples, ascending.
        label: (n,) Their labels.
        stratum: (n,) Their strata.
        audited: See `audited_labels`.
    """
    samples = np.array(list(audited), np.int64)
    is_checked = np.isin(index, samples)
    truth = np.array([audited[int(one)] for one in index[is_checked]], np.int64)
    return estimate_label_error(stratum, stratum[is_checked], label[is_checked] != truth)


def _error(book: Book, steps: Sequence[StepQuestions]) -> LabelErrorEstimate | None:
    audited = audited_labels(book)
    if not audited:
        return None
    num_pool = 1 + max((int(one.by_distance.max()) for step in steps for one in step.first), default=-1)
    labels = newest_cluster_labels(replies_of(book, steps), num_pool)
    return audit_error(labels.index, labels.label, labels.stratum, audited)


def _checked(book: Book) -> list[tuple[Answered, Answered]]:
    """The labels that were given again, each after the label that it checks, if both stand."""
    originals = {given.event.seq: given.event for given in book.all_answers() if given.undone_at is None}
    found = []
    for question in book.questions:
        check, event = check_of(question), book.counted(question)
        is_about_answer = check is not None and check.purpose in (Purpose.REPEAT, Purpose.SHARED)
        if check is None or not is_about_answer or event is None or event.label is None:
            continue
        original = originals.get(check.number)
        if original is not None and original.label is not None:
            found.append((original, event))
    return found


def _agreement(people: tuple[str, ...], pairs: list[Pair], *, has_kappa: bool = False) -> Agreement:
    agreeing = sum(first == second for first, second in pairs)
    kappa = cohen_kappa(pairs) if has_kappa else None
    return Agreement(people=people, number=len(pairs), agreeing=agreeing, kappa=kappa)
