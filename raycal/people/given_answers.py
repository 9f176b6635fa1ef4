"""The answers of people as rows of the ledger, with what the ledger does not say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raycal.algorithm.questions import StepQuestions
from raycal.algorithm.records import Floats, Indices, Interaction, Kind, Labels
from raycal.people.evidence import Evidence, OtherAnswer
from raycal.people.fold import Book
from raycal.people.other_answers import other_answers
from raycal.people.posterior import posterior
from raycal.people.probe_results import ProbeResults
from raycal.people.shown import seen_samples

# A label that is certainly wrong by all evidence still has a weight in training, because weights must be above 0.
LEAST_WEIGHT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswers:
    """The answers about the pool.

    Attributes:
        rows: For each step, its rows of the ledger.
        annotators: The pseudonym of the person who answered, by the number of the interaction.
        marked: The images that the person marked as odd in a cluster, by the number of the interaction.
        seen: The images of a cluster that the person saw, by the number of the interaction.
        others: The answers that are in no ledger.
    """

    rows: Sequence[tuple[StepQuestions, tuple[Interaction, ...]]]
    annotators: Mapping[int, str]
    marked: Mapping[int, Indices]
    seen: Mapping[int, Indices]
    others: Sequence[OtherAnswer]

    @property
    def evidence(self) -> Evidence:
        """The answers as evidence about labels."""
        rows = [row for _, rows in self.rows for row in rows]
        return Evidence.of(rows, self.marked, annotators=self.annotators, seen=self.seen, others=self.others)


def given_answers(book: Book, steps: Sequence[StepQuestions]) -> GivenAnswers:
    """The answers of a log.

    Args:
        book: The answers.
        steps: The questions of all steps, from the oldest to the newest one.
    """
    annotators, marked, seen = dict[int, str](), dict[int, Indices](), dict[int, Indices]()
    of_steps, spent = list[tuple[StepQuestions, tuple[Interaction, ...]]](), 0
    for step in steps:
        replies = book.replies(step)
        rows = step.rows(replies, spent=spent)
        for question, row in zip(step.answered(replies), rows, strict=True):
            event = book.counted(question.id)
            assert event is not None  # the question has a reply
            annotators[row.interaction] = event.who
            if event.marked:
                marked[row.interaction] = np.array(event.marked, np.int64)
            if row.kind is Kind.CLUSTER:
                seen[row.interaction] = seen_samples(question, event.shown)
        spent += len(rows)
        of_steps.append((step, rows))
    return GivenAnswers(
        rows=of_steps, annotators=annotators, marked=marked, seen=seen, others=other_answers(book, steps)
    )


def label_probabilities(book: Book, steps: Sequence[StepQuestions], labels: Labels) -> Floats:
    """The probability of the labels of a pool by the answers of a log, at least `LEAST_WEIGHT`.

    Args:
        book: The answers.
        steps: The questions of all steps, from the oldest to the newest one.
        labels: (P,) The labels; -1 for a sample without a label.

    Returns:
        (P,) float32; 1 for a sample without a label.
    """
    evidence = given_answers(book, steps).evidence
    num_classes = max(book.num_classes, int(evidence.label.max(initial=0)) + 1)
    probes = ProbeResults(book.events.values()).by_person
    found = posterior(evidence, np.arange(len(labels)), num_classes, probes=probes)
    probabilities = np.ones(len(labels), np.float32)
    is_given = labels[found.group] == found.label
    probabilities[found.group[is_given]] = np.maximum(found.probability[is_given], LEAST_WEIGHT)
    return probabilities
