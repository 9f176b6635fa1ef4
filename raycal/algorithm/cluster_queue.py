"""The queue of clusters that a step shows to the expert: which part of each cluster, and in which order."""

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

ClusterOrder = Literal["size", "value", "random", "oracle"]
OnRefusal = Literal["skip", "split"]
Rows = npt.NDArray[np.int64]  # The numbers of rows of the predictions, in ascending order.
# A cluster in the queue: its rank, its size, the negative of its first row, and all its rows. Two clusters never have
# the same first row, so Python never compares all rows when it sorts.
Waiting = tuple[float, int, int, Rows]
ROUNDING = 1e-9  # This tolerance is needed because 0.8 of 5 in floats is a little more than 4.


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """Rules for which part of a cluster is shown, which cluster comes first, and what happens to a refused cluster.

    Attributes:
        core: Share of a cluster's samples that is shown and labeled, rounded up. The samples nearest to the centroid
            are shown; the other samples stay in D^U.
        order: `size` shows the largest cluster first, `value` the cluster with the most `expected_labels`, and `random`
            shuffles. `oracle` shows first the cluster in which the expert will label the most images correctly. This
            order gives an upper bound, because it uses the answers before they are given.
        on_refusal: `skip` drops a refused cluster. `split` cuts it in two with the same clustering. The halves join the
            queue like any other cluster and are shown in full, while the step's budget lasts.
        purity_threshold: The purity threshold of the expert that the order `value` assumes.
    """

    core: float = 1.0
    order: ClusterOrder = "size"
    on_refusal: OnRefusal = "skip"
    purity_threshold: float = 0.0


class ClusterQueue:
    """The clusters of D^U that one step may show; empty clusters are left out.

    Clusters of equal rank are ordered by size, and clusters of equal size by their smallest index.

    Args:
        predictions: The predictions for D^U.
        num_clusters: Number of clusters before any is split, at most the number of samples.
        answer: Gives the answer of the expert to a cluster, for the order `oracle`.
        rng: The random stream of the step.
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
        shown = map(self._core, self._cluster(predictions.features, num_clusters))
        # The last element is shown first. Sorting once makes each pop cheap; with a heap, the cost of a pop would grow
        # with the number of clusters.
        self._waiting = sorted(map(self._ranked, shown))

    def pop(self) -> Cluster | None:
        """Remove and return the cluster to be shown next; None if all were shown."""
        return self._cluster_of(self._waiting.pop()[-1]) if self._waiting else None

    def refuse(self, cluster: Cluster) -> None:
        """Record that the expert refused the cluster that `pop` returned last."""
        if self._rules.on_refusal == "split" and len(cluster.indices) > 1:
            rows = np.searchsorted(self._predictions.indices, cluster.indices)
            halves = self._cluster(self._predictions.features[rows], 2)
            for half in halves if len(halves) > 1 else ():
                insort(self._waiting, self._ranked(rows[half]))

    def _cluster(self, embeddings: Floats, num_clusters: int) -> list[Rows]:
        return grouped(self._clustering(embeddings, num_clusters, int(self._rng.integers(2**31))))

    def _core(self, rows: Rows) -> Rows:
        count = max(1, ceil(self._rules.core * len(rows) - ROUNDING))
        if count == len(rows):
            return rows
        return rows[least(from_centroid(self._predictions.features[rows]), count)]

    def _ranked(self, rows: Rows) -> Waiting:
        return self._worth(rows), len(rows), -rows.item(0), rows

    def _cluster_of(self, rows: Rows) -> Cluster:
        predictions = self._predictions
        return Cluster(indices=predictions.indices[rows], embeddings=lambda: predictions.features[rows])

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
    """The rows of each cluster that is not empty, in the order of the cluster ids.

    Args:
        cluster_ids: (U,) Ids from 0.
    """
    # NumPy sorts 16-bit integers with a radix sort, which takes linear time and is ten times faster here.
    low, sizes = cluster_ids.astype(np.uint16), np.bincount(cluster_ids)
    # With few clusters, one sort is enough, which takes half the time and memory.
    rows = (
        np.argsort(low, kind="stable")
        if len(sizes) <= 2**16
        else np.lexsort((low, (cluster_ids >> 16).astype(np.uint16)))
    )
    ends = np.cumsum(sizes[sizes > 0]).tolist()
    return [rows[begin:end] for begin, end in pairwise([0, *ends])]


def expected_labels(probs: Floats, purity_threshold: float) -> float:
    """The number of images of a cluster that the query model expects to get a correct label if the cluster is shown.

    This is the expected number of images of the cluster's most likely class, times the probability that enough images
    are of that class to reach the threshold. The number of images that reaches the threshold is rounded up.

    Args:
        probs: (n, K) Class probabilities of the cluster's images, which are assumed to be independent of each other.
    """
    expected = probs.sum(axis=0, dtype=np.float64)
    mode = int(expected.argmax())
    needed = ceil(purity_threshold * len(probs) - ROUNDING)
    others = 1 - probs[:, mode].astype(np.float64)
    return float(expected[mode]) * chance_of_at_most(len(probs) - needed, others)


def chance_of_at_most(count: int, chances: npt.NDArray[np.float64]) -> float:
    """The probability that at most `count` of n independent events happen, whose probabilities are `chances` (n,).

    The number of events has a Poisson binomial distribution, which is built up event by event. Numbers above `count`
    are left out, so this takes n x `count` multiplications.
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
    """The number of samples that the answer labels correctly.

    Raises:
        InputError: The expert does not know how many of its labels are wrong.
    """
    if answer.label is None:
        return 0
    if answer.num_wrong is None:
        raise InputError(
            "clustering: order: oracle can only be used with an expert that knows which of its labels are wrong"
        )
    return len(answer.labeled(cluster)) - answer.num_wrong
