"""Experts: who answers. The only holder of the pool's true labels.

`@experts("name")` on a class `(true_labels, *, options)` with `label_samples` and `label_cluster`; experts that err
draw from the `rng` of the annotation step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le

from raycal.algorithm.records import Indices, Labels
from raycal.registry import Registry

# Seconds for one image: Wei et al. 2022, CIFAR-10N, median of the crowd. The paper prices a cluster as one image.
SECONDS_PER_IMAGE = 4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAnswers:
    """Of n samples shown one by one: labels (n,), which are wrong (n,), None if unknown, and the cost of each (n,)."""

    labels: Labels
    wrong: npt.NDArray[np.bool_] | None
    seconds: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAnswer:
    """The label of a cluster, None when refused; what a simulation knows of its purity and errors; the cost."""

    label: int | None
    purity: float | None
    wrong: int | None
    seconds: float


class Expert(Protocol):
    """Labels single samples and whole clusters, or refuses a cluster."""

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers: ...

    def label_cluster(self, indices: Indices, rng: np.random.Generator) -> ClusterAnswer: ...


experts: Registry[Callable[..., Expert]] = Registry("expert")


@experts("oracle")
class Oracle:
    """The paper's simulated expert: never errs on a sample, labels a cluster by its modal class when pure enough.

    Args:
        true_labels: (P,) int64.
        purity_threshold: Least share of the modal class in a cluster it labels, inclusive.
        seconds_per_sample: Cost of one single-image answer.
        seconds_per_cluster: Cost of one shown cluster, labelled or refused.
    """

    def __init__(
        self,
        true_labels: Labels,
        *,
        purity_threshold: Annotated[float, Gt(0), Le(1)] = 0.8,
        seconds_per_sample: Annotated[float, Ge(0), Le(1e9)] = SECONDS_PER_IMAGE,
        seconds_per_cluster: Annotated[float, Ge(0), Le(1e9)] = SECONDS_PER_IMAGE,
    ) -> None:
        self._true_labels = true_labels
        self._purity_threshold = purity_threshold
        self._seconds_per_sample = seconds_per_sample
        self._seconds_per_cluster = seconds_per_cluster

    def label_samples(self, indices: Indices, rng: np.random.Generator) -> SampleAnswers:
        """The true labels."""
        return SampleAnswers(
            labels=self._true_labels[indices],
            wrong=np.zeros(len(indices), np.bool_),
            seconds=np.full(len(indices), self._seconds_per_sample),
        )

    def label_cluster(self, indices: Indices, rng: np.random.Generator) -> ClusterAnswer:
        """The modal class if its share reaches the threshold; ties for the mode go to the smallest class id."""
        counts = np.bincount(self._true_labels[indices])
        mode = int(counts.argmax())
        purity = int(counts[mode]) / len(indices)
        accepted = purity >= self._purity_threshold
        return ClusterAnswer(
            label=mode if accepted else None,
            purity=purity,
            wrong=len(indices) - int(counts[mode]) if accepted else None,
            seconds=self._seconds_per_cluster,
        )
