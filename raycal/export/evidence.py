"""Decides which label an image gets from all labels that it was ever given.

Algorithm 1 releases the images of a labeled cluster after every round. That is right for training, but the labels were
paid for, so a data set must not lose them. Therefore all interactions of a run count, whatever round they are from:

1. A label that was given to the image alone beats every label that was given to a cluster. If there are several, the
   newest one counts.
2. Among the labels of clusters the weighted majority counts. A label from a round that is n rounds older than the
   newest evidence about the image has the weight `RECENCY ** n`, so two agreeing labels outvote a newer one, and a much
   older label does not. If two classes have the same weight, the class that was given last counts.
3. A person who labels a cluster may mark some of its images as odd. Such an image does not get the label. If earlier
   clusters gave it the same label, the mark is a vote against that class with the weight of the round of the mark. A
   class is used only if its votes outweigh the marks against it. The image has no label if no class is left.

Images with the same content count as one image, so a duplicate has the label of its original.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Answer, Indices, Interaction, Kind, Labels
from raycal.people.amendments import LookCounts
from raycal.people.persons import PersonSummary
from raycal.people.purity import QualityOfClusters

RECENCY = 0.8
# Sums of weights that differ by less count as equal. This value is far below the weight of any label that can decide a
# vote.
_EQUAL = 1e-9
NOT_LABELED = -1


class LabelOrigin(StrEnum):
    """Says how an image got its label."""

    SINGLE = "single"
    CLUSTER = "cluster"
    GIVEN = "given"  # the label belongs to the data set, and nobody gave it in this run


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRecord:
    """The facts about a run that are not in its ledger, because people labeled. For a simulated run, all fields are
    empty.

    Attributes:
        annotators: The pseudonym of the person who answered, by the number of the interaction.
        marked: The pool indices of the images that the person marked as odd in a cluster, by the number of the
            interaction.
        holdout_annotators: The pseudonym of the person who labeled a test image, by its position in the test split. A
            test image without an entry has the label that the data set came with.
        uncommitted: Answers of a round that is still open, which are in no ledger file yet.
        duplicates: The name of the original of each duplicate file, by the name of the duplicate. Both names are
            relative to the folder of the data set. Files that are images of the data set themselves are recognized
            without this mapping.
        persons: What each person did, for the file `people.csv`.
        purity: What probes say about the labels of clusters. None if no answer says anything about one.
        audited: The labels that people gave to images of the pool to check the labels of clusters, by the pool index.
        looks: The labels that people gave when they looked again at single images whose labels differed. They are
            numbered after all interactions of the ledger, because they are newer. As no ledger has these numbers, the
            export does not write them.
        look_counts: How many images people looked at again.
    """

    annotators: Mapping[int, str] = field(default_factory=dict)
    marked: Mapping[int, Indices] = field(default_factory=dict)
    holdout_annotators: Mapping[int, str] = field(default_factory=dict)
    uncommitted: Sequence[Interaction] = ()
    persons: Sequence[PersonSummary] = ()
    purity: QualityOfClusters | None = None
    duplicates: Mapping[str, str] = field(default_factory=dict)
    audited: Mapping[int, int] = field(default_factory=dict)
    looks: Sequence[Interaction] = ()
    look_counts: LookCounts = field(default_factory=LookCounts)

    @property
    def not_in_ledger(self) -> Sequence[Interaction]:
        """The labels that no ledger file has."""
        return [*self.uncommitted, *self.looks]

    @property
    def look_numbers(self) -> Set[int]:
        """The numbers of `looks`."""
        return {row.interaction for row in self.looks}


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All labels that the images of a pool were ever given. Each array has one entry per image and interaction.

    Attributes:
        index: (E,) int64, the pool index of the image.
        round: (E,) int64, the iteration of the interaction, from 0.
        interaction: (E,) int64, the number of the interaction.
        label: (E,) int64, the label that was given.
        is_single: (E,) bool, whether the image was shown alone.
        is_odd: (E,) bool, whether the image was marked as odd in a cluster that got this label.
    """

    index: Indices
    round: Indices
    interaction: Indices
    label: Labels
    is_single: npt.NDArray[np.bool_]
    is_odd: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, interactions: Sequence[Interaction], marked: Mapping[int, Indices]) -> "Evidence":
        """The evidence in the rows of a ledger. Refused questions say nothing about a label.

        Args:
            interactions: The rows of all rounds.
            marked: See `PeopleRecord.marked`.
        """
        rows, is_odd = list[tuple[Interaction, Indices]](), list[bool]()
        for row in interactions:
            if row.answer is not Answer.LABELED or row.label is None:
                continue
            rows.append((row, row.indices))
            is_odd.append(False)
            if len(odd := np.asarray(marked.get(row.interaction, ()), np.int64)):
                rows.append((row, odd))
                is_odd.append(True)
        sizes = [len(indices) for _, indices in rows]

        def column(values: Sequence[int | None]) -> npt.NDArray[np.int64]:
            return np.repeat(np.array(values, np.int64), sizes)

        return cls(
            index=np.concatenate([indices for _, indices in rows]) if rows else np.zeros(0, np.int64),
            round=column([row.iteration for row, _ in rows]),
            interaction=column([row.interaction for row, _ in rows]),
            label=column([row.label for row, _ in rows]),
            is_single=np.repeat(np.array([row.kind is Kind.SAMPLE for row, _ in rows], np.bool_), sizes),
            is_odd=np.repeat(np.array(is_odd, np.bool_), sizes),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The label of each image, and the newest answer that supports it.

    Attributes:
        labels: (P,) int64, `NOT_LABELED` for an image without a label.
        support: (P,) int64, the row of the evidence that gave the label last; -1 without a label.
    """

    labels: Labels
    support: Indices


def decide(evidence: Evidence, content: Indices) -> Decision:
    """Decide the label of each image by the rules in the docstring of this module.

    Args:
        evidence: All evidence about the images of a pool.
        content: (P,) int64, ids from 0; images with the same content have the same id.
    """
    groups = int(content.max()) + 1 if len(content) else 0
    support = np.full(groups, -1, np.int64)
    group = content[evidence.index]
    clusters = np.flatnonzero(~evidence.is_single)
    if len(clusters):
        chosen, rows = _majority(evidence, group, clusters)
        support[chosen] = rows
    singles = np.flatnonzero(evidence.is_single)
    in_order = singles[np.argsort(evidence.interaction[singles], kind="stable")]
    support[group[in_order]] = in_order  # if a group occurs several times, its last row stays
    support_of_image = support[content]
    is_labeled = support_of_image >= 0
    labels = np.full(len(content), NOT_LABELED, np.int64)
    labels[is_labeled] = evidence.label[support_of_image[is_labeled]]
    return Decision(labels, support_of_image)


def _majority(evidence: Evidence, group: Indices, rows: Indices) -> tuple[Indices, Indices]:
    """The groups for which a class wins the vote of the clusters, and for each group the row of the newest answer that
    gave the winning class.
    """
    newest_round = np.zeros(int(group[rows].max()) + 1, np.int64)
    np.maximum.at(newest_round, group[rows], evidence.round[rows])
    weight = RECENCY ** (newest_round[group[rows]] - evidence.round[rows]).astype(np.float64)
    num_labels = int(evidence.label[rows].max()) + 1
    votes, vote_of_row = np.unique(group[rows] * num_labels + evidence.label[rows], return_inverse=True)
    sums = np.bincount(vote_of_row, np.where(evidence.is_odd[rows], -weight, weight), len(votes))
    newest = np.full(len(votes), -1, np.int64)
    for_it = np.flatnonzero(~evidence.is_odd[rows])
    for_it = for_it[np.argsort(evidence.interaction[rows[for_it]], kind="stable")]
    newest[vote_of_row[for_it]] = rows[for_it]
    wins = (sums > _EQUAL) & (newest >= 0)
    votes, sums, newest = votes[wins], sums[wins], newest[wins]
    # Sort so that the best class of each group comes last.
    order = np.lexsort((evidence.interaction[newest], np.round(sums / _EQUAL), votes // num_labels))
    best = order[np.append(np.diff((votes // num_labels)[order]) > 0, True)] if len(order) else order
    return (votes // num_labels)[best], newest[best]
