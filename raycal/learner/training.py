"""Alg. 1, line 15: stochastic gradient descent over labels of which some may be wrong or count for less."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from raycal.algorithm.records import Floats, Indices
from raycal.config import TrainingConfig
from raycal.errors import DivergedError
from raycal.learner.device import Placement
from raycal.learner.team import Team
from raycal.losses import Loss


class Epoch(NamedTuple):
    """A worker's parts of the batches of an epoch.

    Attributes:
        positions: (n,) int64, of the samples in the training set, batch after batch.
        on_device: The same on the device.
        flip: (n,) bool on the device, which of their images to mirror; None: none.
        parts: Of `positions`, one for every batch.
        shares: A factor of the mean loss of each part; with it the mean over the workers is the mean over the batch.
    """

    positions: Indices
    on_device: Tensor
    flip: Tensor | None
    parts: list[slice]
    shares: list[float]


class Inputs(NamedTuple):
    """A training set as the device wants it.

    Attributes:
        of: What the network is given for each part of an epoch.
        labels: (M,) int64 on the device.
        weights: (M,) of the samples' losses, on the host; None: all the same.
    """

    of: Callable[[Epoch], Iterator[Tensor]]
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
    for number in range(1, settings.epochs + 1):
        epoch = _epoch(len(inputs.labels), inputs.weights, settings, rng, placement, team)
        means = []
        for part, share, batch in zip(epoch.parts, epoch.shares, inputs.of(epoch), strict=True):
            positions = epoch.on_device[part]
            with placement.autocast():
                logits = network(batch)
            of_samples = loss(logits.float(), inputs.labels[positions], positions)
            if weights is not None:
                of_samples = of_samples * weights[positions]
            mean = of_samples.mean()
            (mean * share).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            means.append(mean.detach())
        finite = team.all(bool(torch.stack(means).isfinite().all()))
        must_be_finite(finite, f"training loss of epoch {number}", settings)


def _epoch(
    num_samples: int,
    weights: Floats | None,
    settings: TrainingConfig,
    rng: np.random.Generator,
    placement: Placement,
    team: Team,
) -> Epoch:
    """This worker's part of each batch, in a new order of the samples."""
    order = rng.permutation(num_samples)
    mirrored = rng.random(num_samples) < 0.5 if settings.horizontal_flip else None
    chosen: list[Indices] = []
    parts: list[slice] = []
    shares: list[float] = []
    begin = 0
    for batch in batches(num_samples, settings.batch_size):
        size, own = batch.stop - batch.start, order[batch][team.part(batch.stop - batch.start)]
        total = size if weights is None else float(weights[order[batch]].sum(dtype=np.float64))
        shares.append(len(own) * team.size / total)
        if len(own) < 2:  # batch normalisation needs two; the mean loss of two copies is that of one
            own = (own if len(own) else order[batch][:1]).repeat(2)
        chosen.append(own)
        parts.append(slice(begin, begin + len(own)))
        begin += len(own)
    positions = np.concatenate(chosen)
    flip = None if mirrored is None else placement.on_device(mirrored[positions])
    return Epoch(positions, placement.on_device(positions), flip, parts, shares)


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
