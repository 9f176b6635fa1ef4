"""Losses that are designed for partly wrong labels."""

from math import log
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le, Lt

from raycal.learner.losses.protocol import Loss, losses

if TYPE_CHECKING:
    from torch import Tensor

# `_LEAST_PROB` is the distance that probabilities keep from 0 and 1, as in Liu et al. (2020). `_LOG_OF_ZERO` stands for
# the logarithm of 0, as in Wang et al. (2019).
_LEAST_PROB, _LOG_OF_ZERO = 1e-4, log(1e-4)


@losses("gce")
def generalized_cross_entropy(num_samples: int, *, q: Annotated[float, Gt(0), Le(1)] = 0.7) -> Loss:
    """Loss (1 - p^q) / q of the label's probability p, which approaches cross-entropy for small q (Zhang & Sabuncu
    2018)."""

    def loss(logits: "Tensor", labels: "Tensor", positions: "Tensor") -> "Tensor":
        # The loss is computed from the logarithm, because the slope of p^q is infinite where p is rounded to 0.
        return -(q * _log_prob(logits, labels)).expm1() / q

    return loss


@losses("sce")
def symmetric_cross_entropy(
    num_samples: int, *, alpha: Annotated[float, Ge(0)] = 0.1, beta: Annotated[float, Gt(0)] = 1.0
) -> Loss:
    """`alpha` times cross-entropy plus `beta` times reverse cross-entropy (Wang et al. 2019).

    The reverse cross-entropy exchanges labels and predictions.
    """

    def loss(logits: "Tensor", labels: "Tensor", positions: "Tensor") -> "Tensor":
        log_prob = _log_prob(logits, labels)
        return -alpha * log_prob - beta * _LOG_OF_ZERO * (1 - log_prob.exp())

    return loss


@losses("elr")
def early_learning_regularization(
    num_samples: int, *, lam: Annotated[float, Ge(0)] = 3.0, momentum: Annotated[float, Ge(0), Lt(1)] = 0.7
) -> Loss:
    """Cross-entropy plus `lam` times a term that pulls predictions toward earlier predictions (Liu et al. 2020).

    The target of a sample is the running mean of its predictions in this training. Each worker keeps the mean of the
    predictions that it computes itself. With W workers, a worker sees a sample in every W-th epoch on average, so its
    mean is over the predictions of these epochs.
    """
    targets: Tensor | None = None

    def loss(logits: "Tensor", labels: "Tensor", positions: "Tensor") -> "Tensor":
        nonlocal targets
        if targets is None:
            targets = logits.new_zeros(num_samples, logits.shape[1])
        probs = logits.softmax(1).clamp(_LEAST_PROB, 1 - _LEAST_PROB)
        seen = probs.detach()
        targets[positions] = momentum * targets[positions] + (1 - momentum) * seen / seen.sum(1, keepdim=True)
        return -_log_prob(logits, labels) + lam * (1 - (targets[positions] * probs).sum(1)).log()

    return loss


def _log_prob(logits: "Tensor", labels: "Tensor") -> "Tensor":
    """The logarithm (B,) of each label's probability."""
    return logits.log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)
