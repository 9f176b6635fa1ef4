"""The interface of a loss, and the registry of losses."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from raycal.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Protocol):
    """Computes the loss (B,) of each sample of a batch; the learner takes their mean.

    Args:
        logits: (B, K) float32.
        labels: (B,) int64, the labels that were given.
        positions: (B,) int64, the positions of the samples in the training set.
    """

    def __call__(self, logits: "Tensor", labels: "Tensor", positions: "Tensor", /) -> "Tensor": ...


losses: Registry[Callable[..., Loss]] = Registry("loss")
