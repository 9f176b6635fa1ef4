"""Simulated people who label real images over several rounds: clusters that k-means finds, and single images of which a
model is unsure. Unlike in `evidence_bots`, the single images are not random ones of their clusters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from evidence_bots import MOST_SHOWN, single
from ledger_rows import row_of
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from raycal.algorithm.records import Floats, Indices, Interaction, Kind, Labels
from raycal.people.evidence import Evidence, OtherAnswer

NUM_CLASSES = 10
NOT_LABELED = -1
# A cluster gets a label if this share of the images that people see has one class.
PURITY = 0.8
MISSED, FALSE_MARKS = 0.2, 0.002


@cache
def digits() -> tuple[Floats, Labels]:
    """The pixels and the classes of the digits of scikit-learn."""
    images = load_digits()
    return images.data.astype(np.float32) / 16, images.target.astype(np.int64)


@dataclass(kw_only=True)
class DigitBots:
    """People who label digits.

    Attributes:
        team: The error rate of each person for single images.
        of_clusters: The share of the clusters that get a wrong label.
        rounds, clusters, singles, audits: The size of the project: the number of rounds, and for each of them, the
            number of clusters and single images that are asked, and of images of labeled clusters that are drawn at
            random and asked alone.
        singles_first: Whether the single images of a round are asked before its clusters.
    """

    team: Mapping[str, float] = field(default_factory=lambda: {"ana": 0.0})
    of_clusters: float = 0.0
    rounds: int = 2
    clusters: int = 20
    singles: int = 20
    audits: int = 3
    singles_first: bool = False

    def label(self, seed: int) -> "LabeledDigits":
        """Let the bots label."""
        return LabeledDigits(self, np.random.default_rng(seed))


class LabeledDigits:
    """What bots have labeled.

    Attributes:
        truth: (P,) The true classes.
    """

    def __init__(self, bots: DigitBots, rng: np.random.Generator) -> None:
        self._bots, self._rng = bots, rng
        self._pixels, self.truth = digits()
        self._rows: list[Interaction] = []
        self._others: list[OtherAnswer] = []
        self._marked: dict[int, Indices] = {}
        self._seen: dict[int, Indices] = {}
        self._annotators: dict[int, str] = {}
        self._alone = np.full(len(self.truth), NOT_LABELED)
        self._of_clusters = self._alone.copy()
        for number in range(bots.rounds):
            entropy = self._entropy()
            self._of_clusters[:] = NOT_LABELED
            steps = [self._ask_clusters, lambda round, entropy=entropy: self._ask_singles(round, entropy)]
            for ask in steps[::-1] if bots.singles_first else steps:
                ask(number)
            in_clusters = np.flatnonzero(self._of_clusters != NOT_LABELED)
            for index in rng.permutation(in_clusters)[: bots.audits].tolist():
                who = self._anybody()
                label = self._label(int(self.truth[index]), bots.team[who])
                self._others.append(single(who, number, label, index, is_audit=True))

    @property
    def evidence(self) -> Evidence:
        """The labels as evidence."""
        return Evidence.of(self._rows, self._marked, annotators=self._annotators, seen=self._seen, others=self._others)

    def _entropy(self) -> Floats:
        """(P,) How unsure a model is of each image, after it has learned from all labels of the last round."""
        labels = np.where(self._alone == NOT_LABELED, self._of_clusters, self._alone)
        rows = np.flatnonzero(labels != NOT_LABELED)
        if not len(rows):
            return self._rng.random(len(labels)).astype(np.float32)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(self._pixels[rows], labels[rows])
        belief = np.maximum(model.predict_proba(self._pixels), 1e-12)
        found: Floats = -(belief * np.log(belief)).sum(axis=1)
        return found

    def _ask_clusters(self, number: int) -> None:
        free = np.flatnonzero(self._alone == NOT_LABELED)
        seed = int(self._rng.integers(2**31))
        found = KMeans(2 * self._bots.clusters, n_init=1, max_iter=10, random_state=seed).fit_predict(
            self._pixels[free]
        )
        for cluster in np.argsort(-np.bincount(found))[: self._bots.clusters].tolist():
            self._ask_cluster(number, free[found == cluster])

    def _ask_cluster(self, number: int, indices: Indices) -> None:
        shown = np.sort(self._rng.permutation(indices)[:MOST_SHOWN])
        counts = np.bincount(self.truth[shown])
        main = int(counts.argmax())
        if counts[main] < PURITY * len(shown):
            return
        chance = np.where(self.truth[shown] == main, FALSE_MARKS, 1 - MISSED)
        odd = shown[self._rng.random(len(shown)) < chance]
        rest = np.setdiff1d(indices, odd)
        label = self._label(main, self._bots.of_clusters)
        interaction = self._add(number, Kind.CLUSTER, label, rest, self._anybody())
        self._marked[interaction], self._seen[interaction] = odd, shown
        self._of_clusters[rest] = label

    def _ask_singles(self, number: int, entropy: Floats) -> None:
        free = np.flatnonzero((self._alone == NOT_LABELED) & (self._of_clusters == NOT_LABELED))
        for index in free[np.argsort(-entropy[free])[: self._bots.singles]].tolist():
            who = self._anybody()
            label = self._label(int(self.truth[index]), self._bots.team[who])
            self._alone[index] = label
            self._add(number, Kind.SAMPLE, label, np.array([index], np.int64), who)

    def _anybody(self) -> str:
        return str(self._rng.choice(list(self._bots.team)))

    def _label(self, true: int, error_rate: float) -> int:
        is_wrong = bool(self._rng.random() < error_rate)
        return int(true + self._rng.integers(1, NUM_CLASSES)) % NUM_CLASSES if is_wrong else true

    def _add(self, number: int, kind: Kind, label: int, indices: Indices, who: str) -> int:
        interaction = len(self._rows) + 1
        self._annotators[interaction] = who
        self._rows.append(row_of(interaction, number, kind, label, indices))
        return interaction
