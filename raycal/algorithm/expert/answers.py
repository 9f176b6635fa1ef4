"""What an expert is shown and what it answers."""

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
    """A cluster that is shown.

    Attributes:
        indices: (n,) int64, ascending.
        embeddings: (n, D) float32 of the asking model, in the same order; taken from the pool's when it is called.
    """

    indices: Indices
    embeddings: Callable[[], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAnswers:
    """Of n samples shown one by one: labels (n,), which are wrong (n,), None if unknown, and the cost of each (n,)."""

    labels: Labels
    wrong: npt.NDArray[np.bool_] | None
    seconds: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAnswer:
    """The label of a cluster, None when refused; what a simulation knows of its purity and errors; the cost.

    The purity is the true one of the whole cluster, whatever the expert took it for: only the answer tells of that.
    `part`: the samples that the answer is of, where these are not the whole cluster.
    """

    label: int | None
    purity: float | None
    wrong: int | None
    seconds: float
    part: Indices | None = None

    def labelled(self, cluster: Cluster) -> Indices:
        """The samples of the cluster that the answer is of."""
        return cluster.indices if self.part is None else self.part


class Expert(Protocol):
    """Labels single samples and whole clusters, or refuses a cluster.

    `rng` begins at the same place at every call of an iteration: an expert that draws a number for each sample of the
    pool says the same of a sample whenever it sees it in that iteration.

    `truth` is no answer and costs nothing: the true labels (n,), by which figures say how many labels are wrong; None
    where nobody knows them.
    """

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers: ...

    def label_cluster(self, cluster: Cluster, rng: np.random.Generator) -> ClusterAnswer: ...

    def truth(self, indices: Indices) -> Labels | None: ...


experts: Registry[Callable[..., Expert]] = Registry("expert")

# Which answers an option can change. Experiments that ask for no such answer do not differ by it.
SAMPLE_ANSWERS = Affects(Use.SAMPLE_ANSWERS)
CLUSTER_ANSWERS = Affects(Use.CLUSTER_ANSWERS)
ALL_ANSWERS = Affects(Use.SAMPLE_ANSWERS, Use.CLUSTER_ANSWERS)

OtherExpert = Annotated[Mapping[str, Any], Nested("oracle")]
ORACLE: Mapping[str, Any] = {"name": "oracle"}


def make(expert: Mapping[str, Any], true_labels: Labels) -> Expert:
    """The expert of an option of type `OtherExpert`."""
    options = {key: value for key, value in expert.items() if key != "name"}
    return experts[expert["name"]](true_labels, **options)


def cluster_answer(label: int | None, true_labels: Labels, *, seconds: float) -> ClusterAnswer:
    """The answer to a cluster whose samples have these true labels (n,)."""
    return ClusterAnswer(
        label=label,
        purity=int(np.bincount(true_labels).max()) / len(true_labels),
        wrong=None if label is None else int(np.count_nonzero(true_labels != label)),
        seconds=seconds,
    )
