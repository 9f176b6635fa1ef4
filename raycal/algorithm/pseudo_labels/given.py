"""The interface of a pseudo-labeling method, and the registry of these methods."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from raycal.algorithm.acquisition import QueryContext
from raycal.algorithm.records import Indices, Labels
from raycal.registry import Registry


class PseudoLabels(NamedTuple):
    """The indices (n,) of different samples of D^U, and the label (n,) int64 of each; n may be 0."""

    indices: Indices
    labels: Labels


class PseudoLabeling(Protocol):
    """Gives the pseudo-labels of an iteration. The view has the samples that the annotation steps left unlabeled, at
    least one.

    `iteration` counts from 0.
    """

    def __call__(self, view: QueryContext, iteration: int, /) -> PseudoLabels: ...


pseudo_labels: Registry[Callable[..., PseudoLabels]] = Registry("pseudo_labels")
