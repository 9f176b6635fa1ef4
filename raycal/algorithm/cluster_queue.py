"""The clusters that wait to be shown in a step: which part of each, and in which order."""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from raycal.algorithm.centroid import from_centroid, least
from raycal.algorithm.clustering import Clustering
from raycal.algorithm.expert import Cluster, ClusterAnswer
from raycal.algorithm.records import Floats, Predictions
from raycal.errors import InputError

Order = Literal["size", "value", "random", "oracle"]
OnRefusal = Literal["skip", "split"]
Rows = npt.NDArray[np.int64]  # of the predictions, ascending
Waiting = tuple[float, int, int, Rows]  # two are never compared by their rows, as the least of these differ
ROUNDING = 1e-9  # 0.8 of 5 is a little more than 4 in floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """Which part of a cluster is shown, which cluster comes first, and what becomes of a refused one.

    Attributes:
        core: Share of a cluster's samples, those nearest its centroid, that is shown and labelled, rounded up; the rest
            stays in D^U.
        order: The largest `size` first; the largest `value`, see `expected_labels`; at `random`; or, as a bound, by the
            images that the expert will label rightly: `oracle`.
        on_refusal: `split` a refused cluster in two by the same clustering; the halves queue up like any other cluster
            and are shown whole, as long as the step's budget lasts.
        purity_threshold: What the `value` takes for the expert's.
    """

    core: float = 1.0
    order: Order = "size"
    on_refusal: OnRefusal = "skip"
    purity_threshold: float = 0.0


class ClusterQueue:
    """The clusters of D^U in one step; equal ones come by size, then by their smallest index. Empty ones do not come.

    Args:
        predictions: Of D^U.
        num_clusters: To begin with, at most as many as there are samples.
        answer: What the expert will say of a cluster, for the order `oracle`.
        rng: Of the step.
    """

    def __init__(
        self,
        predictions: Predictions,
        num_clusters: int,
        rules: ClusterRules,
        *,
        clustering: Clustering,
        answer: Callable[[Cluster], ClusterAnswer],
        rng: np.random.Generator,
    ) -> None:
        self._predictions, self._rules = predictions, rules
        self._clustering, self._answer, self._rng = clustering, answer, rng
        shown = map(self._core, self._cluster(predictions.embeddings, num_clusters))
        # The last one comes first. Sorted at once, as a heap's cost for each cluster would grow with their number.
        self._waiting = sorted(map(self._ranked, shown))

    def pop(self) -> Cluster | None:
        """The cluster to be shown next; None when all were."""
        return self._cluster_of(self._waiting.pop()[-1]) if self._waiting else None

    def refuse(self, cluster: Cluster) -> None:
        """The expert did not label the cluster that came last."""
        if self._rules.on_refusal == "split" and len(cluster.indices) > 1:
            rows = np.searchsorted(self._predictions.indices, cluster.indices)
            halves = self._cluster(self._predictions.embeddings[rows], 2)
            for half in halves if len(halves) > 1 else ():
                insort(self._waiting, self._ranked(rows[half]))

    def _cluster(self, embeddings: Floats, num_clusters: int) -> list[Rows]:
        return grouped(self._clustering(embeddings, num_clusters, int(self._rng.integers(2**31))))

    def _core(self, rows: Rows) -> Rows:
        count = max(1, ceil(self._rules.core * len(rows) - ROUNDING))
        if count == len(rows):
            return rows
        return rows[least(from_centroid(self._predictions.embeddings[rows]), count)]

    def _ranked(self, rows: Rows) -> Waiting:
        return self._worth(rows), len(rows), -rows.item(0), rows

    def _cluster_of(self, rows: Rows) -> Cluster:
        predictions = self._predictions
        return Cluster(indices=predictions.indices[rows], embeddings=lambda: predictions.embeddings[rows])

    def _worth(self, rows: Rows) -> float:
        match self._rules.order:
            case "size":
                return len(rows)
            case "value":
                return expected_labels(self._predictions.probs[rows], self._rules.purity_threshold)
            case "random":
                return float(self._rng.random())
            case "oracle":
                cluster = self._cluster_of(rows)
                return _right_labels(cluster, self._answer(cluster))


def grouped(cluster_ids: npt.NDArray[np.int64]) -> list[Rows]:
    """The rows of each cluster that has any, by its id.

    Args:
        cluster_ids: (U,) from 0.
    """
    # NumPy sorts integers of 16 bits by their digits: in linear time, and ten times faster.
    rows = np.lexsort((cluster_ids.astype(np.uint16), (cluster_ids >> 16).astype(np.uint16)))
    sizes = np.bincount(cluster_ids)
    ends = np.cumsum(sizes[sizes > 0]).tolist()
    return [rows[begin:end] for begin, end in pairwise([0, *ends])]


def expected_labels(probs: Floats, purity_threshold: float) -> float:
    """How many images of a cluster get a right label if it is shown, as the asking model expects.

    This is the expected number of images of the cluster's most likely class, times the chance that at least as many
    images are of that class as the threshold needs. A threshold needs a whole number of images.

    Args:
        probs: Class probabilities (n, K) of the cluster's images, which are taken as independent of each other.
    """
    expected = probs.sum(axis=0, dtype=np.float64)
    mode = int(expected.argmax())
    needed = ceil(purity_threshold * len(probs) - ROUNDING)
    others = 1 - probs[:, mode].astype(np.float64)
    return float(expected[mode]) * chance_of_at_most(len(probs) - needed, others)


def chance_of_at_most(count: int, chances: npt.NDArray[np.float64]) -> float:
    """The chance that at most `count` of independent events happen, of which each has its own chance (n,).

    Their number has a Poisson binomial distribution, which is built up event by event. Numbers above `count` are left
    out, so that it takes n x `count` multiplications.
    """
    if count >= len(chances):
        return 1.0
    distribution = np.zeros(count + 1)
    distribution[0] = 1
    for chance in np.clip(chances, 0, 1).tolist():
        happens = distribution[:-1] * chance
        distribution *= 1 - chance
        distribution[1:] += happens
    return float(distribution.sum())


def _right_labels(cluster: Cluster, answer: ClusterAnswer) -> int:
    """How many samples the answer labels rightly.

    Raises:
        InputError: The expert does not know.
    """
    if answer.label is None:
        return 0
    if answer.wrong is None:
        raise InputError("clustering: order: oracle is for experts that know which of their labels are wrong")
    return len(answer.labelled(cluster)) - answer.wrong
