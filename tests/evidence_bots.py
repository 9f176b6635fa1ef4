"""Simulated people with known error rates, who label the same images over several rounds, alone and in clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ledger_rows import row_of

from raycal.algorithm.records import Indices, Interaction, Kind, Labels
from raycal.people.evidence import Evidence, OtherAnswer

TEAM: Mapping[str, float] = {"ana": 0.05, "bo": 0.10, "cleo": 0.25}
MOST_SHOWN = 36


@dataclass(kw_only=True)
class Bots:
    """People who label, and the images that they label.

    Attributes:
        team: The error rate of each person, for single images and for the labels of clusters.
        num_images, num_classes, rounds: The size of the project.
        odd: The share of images that get into a cluster of a random other class, anew in each round.
        look_alike: The share of images that get into the clusters of one other class in every round.
        singles: The number of single images in a round.
        shared: The share of single images that a second person labels.
        largest: The size of the largest clusters.
        again: The share of the clusters that are shown again in the next round, unchanged.
        missed: The share of odd images that people see without marking them.
        false_marks: The share of the other images that they mark.
    """

    team: Mapping[str, float] = field(default_factory=lambda: TEAM)
    num_images: int = 6000
    num_classes: int = 10
    rounds: int = 5
    odd: float = 0.05
    look_alike: float = 0.0
    singles: int = 80
    shared: float = 0.1
    largest: int = 100
    again: float = 0.0
    missed: float = 0.2
    false_marks: float = 0.002

    def label(self, seed: int) -> "BotLabels":
        """Let the bots label."""
        return BotLabels(self, np.random.default_rng(seed))


class BotLabels:
    """What bots have labeled.

    Attributes:
        truth: (P,) The true classes.
        rows: The rows of the ledger.
        others: The second answers to single images.
        marked, seen, annotators: See `Evidence.of`.
        mislabeled: For each person, whether the label of each single image and of each cluster was wrong.
    """

    def __init__(self, bots: Bots, rng: np.random.Generator) -> None:
        self._bots, self._rng = bots, rng
        self.truth: Labels = rng.integers(bots.num_classes, size=bots.num_images)
        self.rows: list[Interaction] = []
        self.others: list[OtherAnswer] = []
        self.marked: dict[int, Indices] = {}
        self.seen: dict[int, Indices] = {}
        self.annotators: dict[int, str] = {}
        self.mislabeled: dict[tuple[str, Kind], list[bool]] = {}
        self._alone = np.zeros(bots.num_images, np.bool_)
        look = self._other(self.truth, bots.look_alike)
        clusters: list[tuple[int, Indices]] = []
        for number in range(bots.rounds):
            clusters = [one for one in clusters if rng.random() < bots.again]
            clusters += self._clusters(self._other(look, bots.odd), clusters)
            for main, indices in clusters:
                self._label_cluster(number, main, indices[~self._alone[indices]])
            for index in rng.choice(np.flatnonzero(~self._alone), bots.singles, replace=False).tolist():
                self._label_single(number, index)

    @property
    def evidence(self) -> Evidence:
        """The labels as evidence."""
        return Evidence.of(self.rows, self.marked, **self.details)

    @property
    def details(self) -> dict[str, Any]:
        """The further arguments of `Evidence.of`."""
        return {"annotators": self.annotators, "seen": self.seen, "others": self.others}

    def _other(self, classes: Labels, share: float) -> Labels:
        """The classes, a share of which is replaced by a random other class."""
        num_classes = self._bots.num_classes
        other = (classes + self._rng.integers(1, num_classes, size=len(classes))) % num_classes
        return np.where(self._rng.random(len(classes)) < share, other, classes)

    def _clusters(self, look: Labels, again: list[tuple[int, Indices]]) -> list[tuple[int, Indices]]:
        """Clusters of all images that are in no cluster yet, and their main classes."""
        is_free = ~self._alone
        for _, indices in again:
            is_free[indices] = False
        found = []
        for main in range(self._bots.num_classes):
            left = self._rng.permutation(np.flatnonzero(is_free & (look == main)))
            while len(left):
                size = int(self._rng.integers(5, self._bots.largest + 1))
                found.append((main, np.sort(left[:size])))
                left = left[size:]
        return found

    def _label_cluster(self, iteration: int, main: int, indices: Indices) -> None:
        if not len(indices):
            return
        who = str(self._rng.choice(list(self._bots.team)))
        shown = np.sort(self._rng.permutation(indices)[:MOST_SHOWN])
        chance = np.where(self.truth[shown] == main, self._bots.false_marks, 1 - self._bots.missed)
        odd = shown[self._rng.random(len(shown)) < chance]
        rest = np.setdiff1d(indices, odd)
        if len(rest):
            number = self._add(iteration, Kind.CLUSTER, self._answer(who, main, Kind.CLUSTER), rest, who)
            self.marked[number], self.seen[number] = odd, shown

    def _label_single(self, iteration: int, index: int) -> None:
        self._alone[index] = True
        team = list(self._bots.team)
        first, *others = self._rng.permutation(team).tolist()
        alone, true = np.array([index]), int(self.truth[index])
        self._add(iteration, Kind.SAMPLE, self._answer(first, true, Kind.SAMPLE), alone, first)
        if others and self._rng.random() < self._bots.shared:
            label = self._answer(others[0], true, Kind.SAMPLE)
            self.others.append(single(others[0], iteration, label, index))

    def _answer(self, who: str, true: int, kind: Kind) -> int:
        is_wrong = bool(self._rng.random() < self._bots.team[who])
        self.mislabeled.setdefault((who, kind), []).append(is_wrong)
        return (
            int((true + self._rng.integers(1, self._bots.num_classes)) % self._bots.num_classes) if is_wrong else true
        )

    def _add(self, iteration: int, kind: Kind, label: int, indices: Indices, who: str) -> int:
        number = len(self.rows) + 1
        self.rows.append(row_of(number, iteration, kind, label, indices))
        self.annotators[number] = who
        return number


def single(who: str, iteration: int, label: int, index: int, *, is_audit: bool = False) -> OtherAnswer:
    """A label of a single image that is in no ledger."""
    alone = np.array([index], np.int64)
    return OtherAnswer(
        who=who,
        round=iteration,
        kind=Kind.SAMPLE,
        label=label,
        indices=alone,
        marked=alone[:0],
        seen=alone,
        is_audit=is_audit,
    )
