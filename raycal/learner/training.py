"""Alg. 1, line 15: gradient descent on labels, some of which may be wrong or have a lower weight."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from math import fsum, inf, isfinite
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from raycal.algorithm.records import Fitted, Floats, Indices
from raycal.errors import DivergedError
from raycal.learner.augmentations import Augmentation
from raycal.learner.augmentations.protocol import Draws
from raycal.learner.device import DeviceSettings
from raycal.learner.inputs import Augment
from raycal.learner.losses import Loss
from raycal.learner.optimizers import OptimizerSettings, sgd
from raycal.learner.schedule import rate_factor
from raycal.learner.settings import TrainingSettings
from raycal.learner.team import Team

NewOptimizer = Callable[[Sequence[nn.Parameter], OptimizerSettings], Optimizer]


class Epoch(NamedTuple):
    """A worker's parts of the batches of an epoch.

    Attributes:
        positions: (n,) int64, the positions of the samples in the training set, batch after batch.
        on_device: The same positions on the device.
        augment: Changes the images of each part. None means that they stay as they are.
        parts: The slice of `positions` for each batch.
        shares: The factor by which the mean loss of each part is multiplied, so that the mean over the workers is the
            (weighted) mean over the batch.
        totals: The sum of the samples' weights in each batch, over all workers.
    """

    positions: Indices
    on_device: Tensor
    augment: Augment | None
    parts: list[slice]
    shares: list[float]
    totals: list[float]


class Inputs(NamedTuple):
    """A training set in the form that `train` reads.

    Attributes:
        batches: The inputs of the network for each part of an epoch, on the device.
        labels: (M,) int64 on the device.
        weights: (M,) weights of the samples' losses, on the host. None means that all samples have the same weight.
    """

    batches: Callable[[Epoch], Iterator[Tensor]]
    labels: Tensor
    weights: Floats | None


class Losses:
    """The training loss of every optimizer step so far, the same on every worker."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._totals: list[float] = []
        self._steps_per_pass = 0

    def add(self, sums: Sequence[float], totals: Sequence[float]) -> float:
        """Add the optimizer steps of one epoch and return the mean loss of the epoch.

        Args:
            sums: For each step, the sum of the weighted losses of its samples.
            totals: For each step, the sum of the weights of its samples.
        """
        self._steps_per_pass = self._steps_per_pass or len(sums)
        self._sums += sums
        self._totals += totals
        return self._mean(slice(-len(sums), None))

    def __len__(self) -> int:
        return len(self._sums)

    def fitted(self) -> Fitted:
        """The number of steps, and the mean losses of the first and the last steps."""
        compared = max(1, min(self._steps_per_pass, len(self) // 2))
        return Fitted(
            steps=len(self), first_loss=self._mean(slice(compared)), last_loss=self._mean(slice(-compared, None))
        )

    def _mean(self, steps: slice) -> float:
        return fsum(self._sums[steps]) / fsum(self._totals[steps])


class Patience:
    """Detects that a loss has stopped falling.

    Args:
        passes: The number of epochs in a row without an improvement after which the loss has stopped falling.
        min_delta: The smallest improvement that counts, as a share of the lowest loss so far.
    """

    def __init__(self, passes: int, min_delta: float) -> None:
        self._passes, self._min_delta = passes, min_delta
        self._lowest, self._waited = inf, 0

    def is_over(self, loss: float) -> bool:
        """Add the loss of one more epoch and return whether the loss has stopped falling."""
        if self._lowest == inf or loss < self._lowest - self._min_delta * abs(self._lowest):
            self._lowest, self._waited = loss, 0
        else:
            self._waited += 1
        return self._waited >= self._passes


class BestWeights:
    """Keeps the weights of the epoch with the lowest loss. If several epochs have the lowest loss, the first of them
    counts.

    Args:
        network: The network that is trained.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._lowest, self._weights = inf, dict[str, Tensor]()

    def add(self, loss: float) -> None:
        """Keep the present weights if their given loss is lower than the loss of every epoch before."""
        if loss < self._lowest:
            self._lowest = loss
            self._weights = {name: value.detach().clone() for name, value in self._network.state_dict().items()}

    def restore(self) -> None:
        """Give the network the weights that were kept."""
        if self._weights:
            self._network.load_state_dict(self._weights)


def held_out(num_samples: int, settings: TrainingSettings, rng: np.random.Generator) -> Indices:
    """Ascending positions of the samples that are held out for validation; at least two others are left to train on.

    Nothing is drawn from `rng` if no sample is held out.
    """
    if settings.stop != "converged" or settings.validation_fraction == 0 or num_samples < 3:
        return np.empty(0, np.int64)
    number = min(max(1, round(settings.validation_fraction * num_samples)), num_samples - 2)
    return np.sort(rng.choice(num_samples, number, replace=False))


def train(
    network: nn.Module,
    inputs: Inputs,
    loss: Loss,
    settings: TrainingSettings,
    rng: np.random.Generator,
    device_settings: DeviceSettings,
    team: Team,
    validate: Callable[[], float] | None = None,
    *,
    new_optimizer: NewOptimizer = sgd,
    augmentations: Sequence[Augmentation] = (),
) -> Fitted:
    """Train on the samples, in a new order every epoch, until `settings.stop` ends the training.

    Every worker stops at the same step.

    Args:
        validate: Computes the loss, or another value that should fall, which decides whether the training has
            converged; it is the same on every worker. None means that the training loss decides.
        new_optimizer: Makes the optimizer of a training.
        augmentations: Change the images of each epoch, one after another.

    Raises:
        DivergedError: The loss is not finite.
    """
    optimizer = new_optimizer(list(network.parameters()), settings)
    scheduler = LambdaLR(optimizer, _rate_factors(len(inputs.labels), settings))
    weights = None if inputs.weights is None else device_settings.on_device(inputs.weights)
    losses, patience = Losses(), Patience(settings.patience, settings.min_delta)
    best = BestWeights(network) if settings.restore_best and validate is not None else None
    for number in count(1):
        epoch = _epoch(len(inputs.labels), inputs.weights, settings, rng, device_settings, team, augmentations)
        if settings.steps is not None:
            epoch = _cut(epoch, settings.steps - len(losses))
        means = []
        for part, share, batch in zip(epoch.parts, epoch.shares, inputs.batches(epoch), strict=True):
            positions = epoch.on_device[part]
            with device_settings.autocast():
                logits = network(batch)
            of_samples = loss(logits.float(), inputs.labels[positions], positions)
            if weights is not None:
                of_samples = of_samples * weights[positions]
            mean = of_samples.mean()
            (mean * share).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            means.append(mean.detach())
        sums = _sums(torch.stack(means), epoch, team)
        must_be_finite(all(map(isfinite, sums)), f"training loss of epoch {number}", settings)
        loss_of_pass = losses.add(sums, epoch.totals)
        is_last = len(losses) == settings.steps or (settings.stop == "epochs" and number == settings.epochs)
        if settings.stop == "converged" and (best is not None or not is_last):
            monitored = loss_of_pass if validate is None else validate()
            if best is not None:
                best.add(monitored)
            is_last = patience.is_over(monitored) or is_last
        if is_last:
            break
    if best is not None:
        best.restore()
    return losses.fitted()


def _rate_factors(num_samples: int, settings: TrainingSettings) -> Callable[[int], float]:
    """The factor of the learning rate in each optimizer step of a training, by the number of the step.

    A training that may end earlier, because it has converged, has the factors of a training that takes all of its
    steps.
    """
    total = settings.steps
    if total is None:
        total = settings.epochs * len(batches(num_samples, settings.batch_size))
    return lambda step: rate_factor(step, total, settings.schedule, settings.warmup) if step < total else 0.0


def _sums(means: Tensor, epoch: Epoch, team: Team) -> list[float]:
    """The sum of the weighted losses of each batch over all workers.

    Args:
        means: The mean loss that this worker computed for its part of each batch.
    """
    sums = means.to("cpu", torch.float64) * torch.tensor(epoch.shares, dtype=torch.float64)
    # all workers get exactly the same value from worker 0, so that they decide in the same way
    over_workers = team.broadcast(team.all_reduce(*sums.tolist()))
    return [sum_ * total / team.size for sum_, total in zip(over_workers, epoch.totals, strict=True)]


def _cut(epoch: Epoch, steps: int) -> Epoch:
    """The first `steps` batches of an epoch, or all batches if the epoch has fewer."""
    if steps >= len(epoch.parts):
        return epoch
    end = epoch.parts[steps - 1].stop
    return Epoch(
        epoch.positions[:end],
        epoch.on_device[:end],
        epoch.augment,
        epoch.parts[:steps],
        epoch.shares[:steps],
        epoch.totals[:steps],
    )


def _epoch(
    num_samples: int,
    weights: Floats | None,
    settings: TrainingSettings,
    rng: np.random.Generator,
    device_settings: DeviceSettings,
    team: Team,
    augmentations: Sequence[Augmentation] = (),
) -> Epoch:
    """An epoch with the samples in a new order, and this worker's part of each batch.

    The random numbers of each sample are the same however many workers there are.
    """
    order = rng.permutation(num_samples)
    mirrored = rng.random(num_samples) < 0.5 if settings.horizontal_flip else None
    num_draws = sum(augmentation.draws for augmentation in augmentations)
    draws = rng.random((num_samples, num_draws)) if augmentations else None
    chosen: list[Indices] = []
    parts: list[slice] = []
    shares: list[float] = []
    totals: list[float] = []
    begin = 0
    for batch in batches(num_samples, settings.batch_size):
        size, shard = batch.stop - batch.start, order[batch][team.shard(batch.stop - batch.start)]
        total = size if weights is None else float(weights[order[batch]].sum(dtype=np.float64))
        shares.append(len(shard) * team.size / total)
        totals.append(total)
        if len(shard) < 2:  # batch normalization needs two samples, and two copies have the same mean loss as one
            shard = (shard if len(shard) else order[batch][:1]).repeat(2)
        chosen.append(shard)
        parts.append(slice(begin, begin + len(shard)))
        begin += len(shard)
    positions = np.concatenate(chosen)
    changes = [] if mirrored is None else [_mirroring(device_settings.on_device(mirrored[positions]))]
    changes += [] if draws is None else [_augmenting(augmentations, draws[positions])]
    augment = partial(_one_after_another, changes) if changes else None
    return Epoch(positions, device_settings.on_device(positions), augment, parts, shares, totals)


def _one_after_another(changes: Sequence[Augment], images: Tensor, part: slice) -> Tensor:
    for change in changes:
        images = change(images, part)
    return images


def _augmenting(augmentations: Sequence[Augmentation], draws: Draws) -> Augment:
    """Augments images, each with its own random numbers.

    Args:
        draws: (n, k) The random numbers for each position of an epoch: those of the first augmentation come first.
    """
    ends = np.cumsum([augmentation.draws for augmentation in augmentations])

    def augment(images: Tensor, part: slice) -> Tensor:
        for augmentation, of_augmentation in zip(augmentations, np.split(draws[part], ends[:-1], axis=1), strict=True):
            images = augmentation(images, of_augmentation)
        return images

    return augment


def _mirroring(mirrored: Tensor) -> Augment:
    """Mirrors images left to right.

    Args:
        mirrored: (n,) bool on the device, whether to mirror the image of each position of an epoch.
    """
    return lambda images, part: torch.where(mirrored[part].view(-1, 1, 1, 1), images.flip(3), images)


def batches(num_samples: int, batch_size: int) -> list[slice]:
    """Consecutive slices of `batch_size` samples; if a single sample remains, it joins the last batch."""
    begins = list(range(0, num_samples, batch_size))
    if len(begins) > 1 and num_samples - begins[-1] == 1:
        begins.pop()
    return [slice(begin, end) for begin, end in zip(begins, [*begins[1:], num_samples], strict=True)]


def must_be_finite(finite: bool, what: str, settings: TrainingSettings) -> None:
    """Raise a DivergedError that names the value, unless the value is finite."""
    if not finite:
        rate = settings.learning_rate
        raise DivergedError(f"training diverged: the {what} is not finite; lower training.learning_rate ({rate:g})")
