"""Decides which label an image gets from all labels that it was ever given.

Algorithm 1 releases the images of a labeled cluster after every round. That is right for training, but the labels were
paid for, so a data set must not lose them. Therefore all answers count, whatever round they are from:

1. An image gets the class with the highest posterior probability (see `raycal.people.posterior`) among the classes that
   somebody gave it. If two classes are equally probable, the class that was given last counts.
2. If somebody looked again at the image because its label was in doubt, that label counts, however probable it is.
3. A person who labels a cluster may mark some of its images as odd. An image loses its label in this way if nobody has
   labeled it alone, if each label that a cluster gave it was followed by a mark against this label, and if no class is
   more probable than not. No other image loses its label, however improbable the label is.

Images with the same content count as one image, so a duplicate has the label of its original.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Indices, Interaction, Labels
from raycal.people.amendments import LookCounts
from raycal.people.evidence import NO_INTERACTION, Evidence, OtherAnswer
from raycal.people.persons import PersonSummary
from raycal.people.posterior import LabelPosterior
from raycal.people.probe_results import MissRate
from raycal.people.purity import QualityOfClusters

NOT_LABELED = -1
# An image that was marked as odd has no label if its best class has a lower probability.
LEAST_PROBABLE = 0.5
# Probabilities that differ by less count as equal.
_EQUAL = 1e-9


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
        seen: The pool indices of the images of a labeled cluster that the person saw, by the number of the interaction.
        others: The answers about the pool that are in no ledger and never will be, from the oldest to the newest one.
        holdout_annotators: The pseudonym of the person who labeled a test image, by its position in the test split. A
            test image without an entry has the label that the data set came with.
        uncommitted: Answers of a round that is still open, which are in no ledger file yet.
        duplicates: The name of the original of each duplicate file, by the name of the duplicate. Both names are
            relative to the folder of the data set. Files that are images of the data set themselves are recognized
            without this mapping.
        persons: What each person did, for the file `people.csv`.
        purity: What probes say about the labels of clusters. None if no answer says anything about one.
        audited: The labels that people gave to images of the pool to check the labels of clusters, by the pool index.
        look_counts: How many images people looked at again.
    """

    annotators: Mapping[int, str] = field(default_factory=dict)
    marked: Mapping[int, Indices] = field(default_factory=dict)
    seen: Mapping[int, Indices] = field(default_factory=dict)
    others: Sequence[OtherAnswer] = ()
    holdout_annotators: Mapping[int, str] = field(default_factory=dict)
    uncommitted: Sequence[Interaction] = ()
    persons: Sequence[PersonSummary] = ()
    purity: QualityOfClusters | None = None
    duplicates: Mapping[str, str] = field(default_factory=dict)
    audited: Mapping[int, int] = field(default_factory=dict)
    look_counts: LookCounts = field(default_factory=LookCounts)

    def evidence(self, interactions: Sequence[Interaction]) -> Evidence:
        """All labels that images of the pool were given.

        Args:
            interactions: The rows of the ledger.
        """
        return Evidence.of(
            [*interactions, *self.uncommitted],
            self.marked,
            annotators=self.annotators,
            seen=self.seen,
            others=self.others,
        )

    @property
    def probes(self) -> Mapping[str, MissRate]:
        """How many probes each person missed."""
        return {} if self.purity is None else self.purity.misses_by_person


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The label of each image, and the newest answer that supports it.

    Attributes:
        labels: (P,) int64, `NOT_LABELED` for an image without a label.
        support: (P,) int64, the row of the evidence that gave the label last; -1 without a label. Rows of a ledger come
            first, and among these the rows of single images; only a second look comes before them.
        probability: (P,) float64, the posterior probability of the label; NaN without a label.
    """

    labels: Labels
    support: Indices
    probability: npt.NDArray[np.float64]


def decide(evidence: Evidence, content: Indices, posterior: LabelPosterior) -> Decision:
    """Decide the label of each image by the rules in the docstring of this module.

    Args:
        evidence: All evidence about the images of a pool.
        content: (P,) int64, ids from 0; images with the same content have the same id.
        posterior: The probability of each class that was named.
    """
    groups = int(content.max()) + 1 if len(content) else 0
    support, probability = np.full(groups, -1, np.int64), np.full(groups, np.nan)
    given = np.flatnonzero(~evidence.is_odd)
    num_labels = int(evidence.label.max(initial=0)) + 1
    key = content[evidence.index] * num_labels + evidence.label
    best_first = np.lexsort(
        (
            -evidence.answer[given],
            ~evidence.is_single[given],
            evidence.interaction[given] == NO_INTERACTION,
            ~evidence.is_look[given],
        )
    )
    rows = given[best_first]
    keys, first = np.unique(key[rows], return_index=True)
    rows = rows[first]
    belief = posterior.probability[np.searchsorted(posterior.group * num_labels + posterior.label, keys)]
    # Sort so that the best class of each group comes last, and stays.
    order = np.lexsort((evidence.answer[rows], np.round(belief / _EQUAL), evidence.is_look[rows], keys // num_labels))
    group = keys[order] // num_labels
    support[group], probability[group] = rows[order], belief[order]
    lost = _marked_off(evidence, content[evidence.index], key)
    lost = lost[probability[lost] < LEAST_PROBABLE]
    support[lost], probability[lost] = -1, np.nan
    support_of_image = support[content]
    is_labeled = support_of_image >= 0
    labels = np.full(len(content), NOT_LABELED, np.int64)
    labels[is_labeled] = evidence.label[support_of_image[is_labeled]]
    return Decision(labels, support_of_image, probability[content])


def _marked_off(evidence: Evidence, group: Indices, key: Indices) -> Indices:
    """The groups of which each label was followed by a mark against it, and that nobody has labeled alone.

    Args:
        evidence: The evidence.
        group: (E,) The group of each row.
        key: (E,) The group and the label of each row as one number.
    """
    # From the newest to the oldest row of each group and label, there are never more labels than marks.
    order = np.lexsort((evidence.is_odd, -evidence.answer, key))
    balance = np.cumsum(np.where(evidence.is_odd[order], -1, 1))
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    before = np.append(0, balance)[starts]
    most = np.maximum.reduceat(balance, starts) - before if len(starts) else before
    keeps = group[order][starts[most > 0]]
    marked = group[evidence.is_odd]
    return np.setdiff1d(marked, np.concatenate([keeps, group[evidence.is_single]]))
