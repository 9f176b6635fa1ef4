"""Alg. 1, line 15: stochastic gradient descent over labels of which some may be wrong or count for less."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from raycal.algorithm.records import Floats
from raycal.config import TrainingConfig
from raycal.errors import DivergedError
from raycal.learner.device import Placement
from raycal.learner.team import Team
from raycal.losses import Loss


class Batch(NamedTuple):
    """A worker's part of a batch, on the device.

    Attributes:
        positions: (B,) int64, of the samples in the training set.
        flip: (B,) bool, which of their images to mirror; None: none.
        share: Factor of the mean loss of the part; with it the mean over the workers is the mean over the batch.
    """

    positions: Tensor
    flip: Tensor | None
    share: float


class Inputs(NamedTuple):
    """A training set as the device wants it.

    Attributes:
        of: What the network is given for a part of a batch.
        labels: (M,) int64 on the device.
        weights: (M,) of the samples' losses, on the host; None: all the same.
    """

    of: Callable[[Batch], Tensor]
    labels: Tensor
    weights: Floats | None


def train(
    network: nn.Module,
    inputs: Inputs,
    loss: Loss,
    settings: TrainingConfig,
    rng: np.random.Generator,
    placement: Placement,
    team: Team,
) -> None:
    """Train over the samples in a new order every epoch.

    Raises:
        DivergedError: The loss is not finite.
    """
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=True if placement.device.type == "cuda" else None,
    )
    weights = None if inputs.weights is None else placement.on_device(inputs.weights)
    for epoch in range(settings.epochs):
        means = []
        for batch in _epoch(len(inputs.labels), inputs.weights, settings, rng, placement, team):
            with placement.autocast():
                logits = network(inputs.of(batch))
            of_samples = loss(logits.float(), inputs.labels[batch.positions], batch.positions)
            if weights is not None:
                of_samples = of_samples * weights[batch.positions]
            mean = of_samples.mean()
            optimizer.zero_grad(set_to_none=True)
            (mean * batch.share).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            means.append(mean.detach())
        finite = team.all(bool(torch.stack(means).isfinite().all()))
        must_be_finite(finite, f"training loss of epoch {epoch + 1}", settings)


def _epoch(
    num_samples: int,
    weights: Floats | None,
    settings: TrainingConfig,
    rng: np.random.Generator,
    placement: Placement,
    team: Team,
) -> Iterator[Batch]:
    """This worker's part of each batch of an epoch."""
    order = rng.permutation(num_samples)
    mirrored = placement.on_device(rng.random(num_samples) < 0.5) if settings.horizontal_flip else None
    on_device = placement.on_device(order)
    for part in batches(num_samples, settings.batch_size):
        size, own = part.stop - part.start, team.part(part.stop - part.start)
        total = size if weights is None else float(weights[order[part]].sum(dtype=np.float64))
        positions = on_device[part][own]
        share = len(positions) * team.size / total
        if len(positions) < 2:  # batch normalisation needs two; the mean loss of two copies is that of one
            positions = (positions if len(positions) else on_device[part][:1]).repeat(2)
        yield Batch(positions, None if mirrored is None else mirrored[positions], share)


def batches(num_samples: int, batch_size: int) -> list[slice]:
    """Consecutive parts of `batch_size`; a single sample left over joins the part before it."""
    begins = list(range(0, num_samples, batch_size))
    if len(begins) > 1 and num_samples - begins[-1] == 1:
        begins.pop()
    return [slice(begin, end) for begin, end in zip(begins, [*begins[1:], num_samples], strict=True)]


def must_be_finite(finite: bool, what: str, settings: TrainingConfig) -> None:
    """Raise a DivergedError that says what is not."""
    if not finite:
        rate = settings.learning_rate
        raise DivergedError(f"training diverged: the {what} is not finite; lower training.learning_rate ({rate:g})")
