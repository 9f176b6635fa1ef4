"""Lists the labeled images of a run, with what is known about each label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raycal.algorithm.records import Indices
from raycal.data import LoadedDataset
from raycal.export.evidence import NOT_LABELED, Decision, LabelOrigin, PeopleRecord, decide
from raycal.people.evidence import NO_INTERACTION, Evidence
from raycal.people.posterior import LabelPosterior, posterior

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledImage:
    """An image of the data set with its label.

    Attributes:
        row: The row of the image in the dataset; for a duplicate, the row of its original.
        source: The name of the image's file, relative to the folder of the data set.
        label: The number of the class.
        how: How the image got its label.
        round: The iteration in which the image got the label, from 0. None for a label of the test split.
        interaction: The number of the interaction in the ledger. None for a label of the test split, and for a label
            that only a check or a late answer gave.
        annotator: The pseudonym of the person who gave the label. None in a simulation.
        split: Whether the image belongs to the pool or to the test split.
        duplicate_of: The name of the image with the same content that was labeled. None if the image itself was
            labeled.
        probability: The posterior probability of the label. None for a label of the test split.
    """

    row: int
    source: str
    label: int
    how: LabelOrigin
    round: int | None
    interaction: int | None
    annotator: str | None
    split: Split
    duplicate_of: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelSet:
    """The labels of a run.

    Attributes:
        images: The labeled images, those of the pool first.
        evidence: All labels that the images of the pool were ever given.
        posterior: The probability of each label that was given.
        decision: The label of each image of the pool.
        unaudited: The labels that the images of the pool would have without the answers of audits. Audits measure the
            error of these labels; they would hardly ever differ from labels that they have decided.
        num_lost: The number of images of the pool that were labeled once, but have no label because they were marked
            as odd.
    """

    images: Sequence[LabeledImage]
    evidence: Evidence
    posterior: LabelPosterior
    decision: Decision
    unaudited: Decision
    num_lost: int

    @property
    def pool(self) -> list[LabeledImage]:
        """The labeled images of the pool, without duplicates among the files."""
        return list({image.row: image for image in reversed(self.images) if image.split == "train"}.values())


def source_names(images: LoadedDataset) -> Sequence[str]:
    """The name of each image, by row. An image that did not come from a file is named by its row."""
    return images.names


def collect(images: LoadedDataset, evidence: Evidence, people: PeopleRecord) -> LabelSet:
    """List the images of the pool that got a label, and the images of the test split whose label is known."""
    names = source_names(images)
    content = _content(images)
    beliefs = posterior(evidence, content, images.num_classes, probes=people.probes)
    decision = decide(evidence, content, beliefs)
    pool = _pool(images, names, evidence, decision)
    first = {image.source: image for image in pool}
    copies = [
        LabeledImage(
            row=original.row,
            source=duplicate,
            label=original.label,
            how=original.how,
            round=original.round,
            interaction=original.interaction,
            annotator=original.annotator,
            split="train",
            duplicate_of=original.source,
            probability=original.probability,
        )
        for duplicate, name in sorted(people.duplicates.items())
        if (original := first.get(name)) is not None and duplicate not in first
    ]
    ever = np.unique(evidence.index[~evidence.is_odd])
    return LabelSet(
        images=[*pool, *copies, *_holdout(images, names, people)],
        evidence=evidence,
        posterior=beliefs,
        decision=decision,
        unaudited=_unaudited(evidence, content, images.num_classes, beliefs, decision),
        num_lost=int((decision.labels[ever] == NOT_LABELED).sum()),
    )


def _unaudited(
    evidence: Evidence, content: Indices, num_classes: int, beliefs: LabelPosterior, decision: Decision
) -> Decision:
    rows = np.flatnonzero(~evidence.is_audit)
    if len(rows) == len(evidence):
        return decision
    others = evidence.rows(rows)
    found = decide(others, content, posterior(others, content, num_classes, rates=beliefs.rates))
    return Decision(found.labels, np.where(found.support < 0, -1, rows[found.support]), found.probability)


def _pool(images: LoadedDataset, names: Sequence[str], evidence: Evidence, decision: Decision) -> list[LabeledImage]:
    says = ~evidence.is_odd
    # The index of each image that was labeled itself, and not only as a copy of another image, with its label.
    own = {(int(index), int(label)) for index, label in zip(evidence.index[says], evidence.label[says], strict=True)}
    labeled = []
    for index in np.flatnonzero(decision.labels != NOT_LABELED).tolist():
        support, label = int(decision.support[index]), int(decision.labels[index])
        interaction, row = int(evidence.interaction[support]), int(images.train_rows[index])
        original = names[images.train_rows[evidence.index[support]]]
        labeled.append(
            LabeledImage(
                row=row,
                source=names[row],
                label=label,
                how=LabelOrigin.SINGLE if evidence.is_single[support] else LabelOrigin.CLUSTER,
                round=int(evidence.round[support]),
                interaction=None if interaction == NO_INTERACTION else interaction,
                annotator=evidence.people[evidence.person[support]] or None,
                split="train",
                duplicate_of=None if (index, label) in own else original,
                probability=float(decision.probability[index]),
            )
        )
    return labeled


def _holdout(images: LoadedDataset, names: Sequence[str], people: PeopleRecord) -> list[LabeledImage]:
    labeled = []
    for position, (row, label) in enumerate(zip(images.test_rows.tolist(), images.test_labels.tolist(), strict=True)):
        if label < 0:  # nobody has labeled this image yet
            continue
        annotator = people.holdout_annotators.get(position)
        labeled.append(
            LabeledImage(
                row=row,
                source=names[row],
                label=label,
                how=LabelOrigin.GIVEN if annotator is None else LabelOrigin.SINGLE,
                round=None,
                interaction=None,
                annotator=annotator,
                split="test",
            )
        )
    return labeled


def _content(images: LoadedDataset) -> Indices:
    """An id for each image of the pool, which images with the same content share."""
    if images.source is None:
        return np.arange(images.num_train)
    digests = np.ascontiguousarray(images.source.digests[images.train_rows])
    whole = digests.view(np.dtype((np.void, digests.shape[1]))).ravel()
    _, ids = np.unique(whole, return_inverse=True)
    return ids.astype(np.int64)
