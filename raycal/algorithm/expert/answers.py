"""The questions to an expert, its answers, and the registry of experts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
import numpy.typing as npt

from raycal.algorithm.records import Floats, Indices, Labels
from raycal.algorithm.scenario import Use
from raycal.registry import Affects, Nested, Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that is shown to the expert.

    Attributes:
        indices: (n,) int64, ascending.
        embeddings: Returns the embeddings (n, D) float32 of the query model, in the order of `indices`. They are copied
            from the predictions for D^U only when this function is called.
    """

    indices: Indices
    embeddings: Callable[[], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAnswers:
    """The answers to n samples that were shown one by one.

    Attributes:
        labels: (n,) int64.
        wrong: (n,) Whether each label is wrong. None if this is not known.
        seconds: (n,) Cost of each answer, in seconds of human time.
    """

    labels: Labels
    wrong: npt.NDArray[np.bool_] | None
    seconds: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAnswer:
    """The answer to a cluster.

    Attributes:
        label: The label of the cluster. None if the expert refused it.
        purity: True purity of the whole cluster, whatever purity the expert perceived. None if it is not known.
        num_wrong: Number of wrong labels among the labeled samples. None if the expert refused, or if the number is
            not known.
        seconds: Cost of the answer, in seconds of human time.
        part: The samples that the answer applies to. None means the whole cluster.
    """

    label: int | None
    purity: float | None
    num_wrong: int | None
    seconds: float
    part: Indices | None = None

    def labeled(self, cluster: Cluster) -> Indices:
        """The samples of the cluster that the answer applies to."""
        return cluster.indices if self.part is None else self.part


class Expert(Protocol):
    """Labels single samples, and labels or refuses whole clusters.

    `rng` starts in the same state at every call in an iteration. An expert that draws a number for each sample of the
    pool therefore gives the same answer about a sample whenever the sample is shown in that iteration.

    `truth` returns the true labels (n,), or None if they are not known. The call is not an answer and costs nothing.
    The true labels serve to count the wrong labels in the results.
    """

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers: ...

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer: ...

    def truth(self, indices: Indices) -> Labels | None: ...


experts: Registry[Callable[..., Expert]] = Registry("expert")

# Marks for an option, which say which answers the option can change. If an experiment never asks for these answers, its
# id ignores the option.
SAMPLE_ANSWERS = Affects(Use.SAMPLE_ANSWERS)
CLUSTER_ANSWERS = Affects(Use.CLUSTER_ANSWERS)
ALL_ANSWERS = Affects(Use.SAMPLE_ANSWERS, Use.CLUSTER_ANSWERS)

OtherExpert = Annotated[Mapping[str, Any], Nested("oracle")]
ORACLE: Mapping[str, Any] = {"name": "oracle"}


def make(expert: Mapping[str, Any], true_labels: Labels) -> Expert:
    """Construct the expert that an option of type `OtherExpert` describes."""
    options = {key: value for key, value in expert.items() if key != "name"}
    return experts[expert["name"]](true_labels, **options)


def cluster_answer(label: int | None, true_labels: Labels, *, seconds: float) -> ClusterAnswer:
    """The answer to a cluster whose samples have the true labels (n,). If `label` is None, the expert refuses the
    cluster."""
    return ClusterAnswer(
        label=label,
        purity=int(np.bincount(true_labels).max()) / len(true_labels),
        num_wrong=None if label is None else int(np.count_nonzero(true_labels != label)),
        seconds=seconds,
    )
