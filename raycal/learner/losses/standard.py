"""Cross-entropy, with and without label smoothing."""

from typing import Annotated

from annotated_types import Gt, Lt

from raycal.learner.losses.protocol import Loss, losses


@losses("cross_entropy")
def cross_entropy(num_samples: int) -> Loss:
    """The negative log-likelihood of the label."""
    from torch.nn import functional

    return lambda logits, labels, positions: functional.cross_entropy(logits, labels, reduction="none")


@losses("label_smoothing")
def label_smoothing(num_samples: int, *, smoothing: Annotated[float, Gt(0), Lt(1)] = 0.1) -> Loss:
    """Cross-entropy in which a part of the weight of every label is spread evenly over the classes (Szegedy et al.
    2016).
    """
    from torch.nn import functional

    return lambda logits, labels, positions: functional.cross_entropy(
        logits, labels, reduction="none", label_smoothing=smoothing
    )
