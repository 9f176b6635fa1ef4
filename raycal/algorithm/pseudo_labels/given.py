"""What a method of pseudo-labelling gives, and the registry of these methods."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from raycal.algorithm.acquisition import View
from raycal.algorithm.records import Indices, Labels
from raycal.registry import Registry


class PseudoLabels(NamedTuple):
    """Different samples of D^U (n,), and the label of each (n,) int64; there may be none."""

    indices: Indices
    labels: Labels


class PseudoLabeling(Protocol):
    """The pseudo-labels of an iteration, from 0; the view's D^U is what the human steps left, one sample at least."""

    def __call__(self, view: View, iteration: int, /) -> PseudoLabels: ...


pseudo_labels: Registry[Callable[..., PseudoLabels]] = Registry("pseudo_labels")
