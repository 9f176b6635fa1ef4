"""`training`: compares the learner with a bare, hand-tuned training loop of the same recipe."""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from raycal.algorithm.records import TrainingSet
from raycal.bench.figure import Figure, Goal
from raycal.bench.material import Options, images, learner, settings_of
from raycal.bench.measure import interleaved, ratio
from raycal.bench.obvious import MEAN, STD
from raycal.config import TrainingConfig
from raycal.data import ImageDataset

if TYPE_CHECKING:
    from raycal.learner.device import DeviceSettings
    from raycal.learner.learner import NetworkLearner

MOST_OVERHEAD = 1.03
# The arms take many short turns instead of few long ones, because a machine's speed drifts by more than the goal.
TURNS = 4


def run(options: Options) -> Iterator[Figure]:
    """CPU seconds of `fit` divided by the CPU seconds of the bare loop."""
    count = options.size(256, 64)
    dataset = images(options, count)
    size, batch = options.size(64, 32), options.size(64, 16)
    model = learner(options, dataset, image_size=size, batch_size=batch)
    recipe = TrainingConfig(image_size=size, batch_size=batch, epochs=1, learning_rate=0.01)
    loop = BareLoop(weights_of(model), dataset, recipe, model.device_settings)
    pool = TrainingSet(indices=np.arange(count), labels=dataset.train_labels)
    model.fit(TrainingSet(indices=pool.indices[:batch], labels=pool.labels[:batch]), np.random.default_rng(0))
    loop.fit(TrainingSet(indices=pool.indices[:batch], labels=pool.labels[:batch]), np.random.default_rng(0))
    durations = interleaved(
        {
            "raycal": lambda: model.fit(pool, np.random.default_rng(1)),
            "bare": lambda: loop.fit(pool, np.random.default_rng(1)),
        },
        TURNS * options.repeats,
    )
    yield Figure(
        benchmark="training",
        name="CPU, raycal / bare loop",
        value=ratio(durations, "raycal", "bare"),
        goal=Goal("<=", MOST_OVERHEAD),
        arms=durations,
        setting=settings_of(model, batch=batch, image_size=size, count=count, arms="CPU seconds of an epoch"),
    )


def weights_of(model: "NetworkLearner") -> dict[str, Tensor]:
    """The learner's weights as a state dict."""
    state: dict[str, Tensor] = torch.load(io.BytesIO(model.save()), map_location="cpu", weights_only=True)
    return state


class BareLoop:
    """A bare training loop with the learner's optimizations.

    Images are on the device, normalized before the resize, and channels last. The loop uses autocast and does not
    synchronize within a step.
    """

    def __init__(
        self,
        state: dict[str, Tensor],
        dataset: ImageDataset,
        recipe: TrainingConfig,
        device_settings: "DeviceSettings",
        *,
        compiled: bool = False,
    ) -> None:
        self._recipe, self._device_settings, device = recipe, device_settings, device_settings.device
        model: nn.Module = resnet18(num_classes=dataset.num_classes)
        model.load_state_dict(state)
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward = _compiled(self.model) if compiled else self.model
        self._images = torch.from_numpy(dataset.images[dataset.train_rows]).to(device)
        self._scale = (1 / (255 * torch.tensor(STD))).view(1, 3, 1, 1).to(device)
        self._shift = (-torch.tensor(MEAN) / torch.tensor(STD)).view(1, 3, 1, 1).to(device)

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> list[float]:
        """Train by SGD over the samples and return the loss of every step."""
        recipe = self._recipe
        self.model.train()
        optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        rows, labels = (
            torch.from_numpy(array).to(self._device_settings.device)
            for array in (training_set.indices, training_set.labels)
        )
        losses = []
        with torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for _ in range(recipe.epochs):
                order = torch.from_numpy(rng.permutation(len(rows))).to(self._device_settings.device)
                for batch in order.split(recipe.batch_size):  # type: ignore[no-untyped-call]
                    with self._device_settings.autocast():
                        logits = self._forward(self._batch(rows[batch]))
                    loss = functional.cross_entropy(logits.float(), labels[batch])
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    losses.append(loss.detach())
        return torch.stack(losses).tolist()

    def _batch(self, rows: Tensor) -> Tensor:
        batch = self._images[rows].permute(0, 3, 1, 2)
        batch = torch.addcmul(self._shift, batch.float(), self._scale)
        size = self._recipe.image_size
        if batch.shape[2] != size:
            batch = functional.interpolate(batch, size=size, mode="bilinear", antialias=batch.shape[2] > size)
        return batch.contiguous(memory_format=torch.channels_last)


def _compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    forward: Callable[[Tensor], Tensor] = torch.compile(model, mode="reduce-overhead")

    def step(images: Tensor) -> Tensor:
        # Once the learner has marked a step in this process, torch no longer detects the end of a step by itself.
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return forward(images)

    return step
