"""The checks of optimizers and augmentations, which import torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raycal.learner.augmentations import augmentations
from raycal.learner.optimizers import optimizers
from raycal.testing.common import check_options

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class _Settings:
    """The settings with which an optimizer is checked."""

    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0


def check_optimizer(name: str, /, **options: Any) -> None:
    """Check an optimizer: it must bring a parameter nearer to the minimum of a parabola, and follow the learning rate.

    Equal trainings must give equal bits. With a learning rate of zero, which a schedule may set, a step must change
    nothing.
    """
    import torch
    from torch import nn

    check_options(optimizers, name)
    what, start = f"optimizer {name}", torch.tensor([2.0, -1.0, 0.5])

    def train(num_steps: int, *, rate: float | None = None) -> "Tensor":
        parameters = [nn.Parameter(start.clone()), nn.Parameter(torch.zeros(2))]
        optimizer = optimizers[name](parameters, _Settings(learning_rate=0.01), **options)
        assert isinstance(optimizer, torch.optim.Optimizer), (
            f"{what}: is {type(optimizer).__name__}, should be a torch.optim.Optimizer"
        )
        given = sum(len(group["params"]) for group in optimizer.param_groups)
        assert given == len(parameters), f"{what}: has {given} of {len(parameters)} parameters"
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] if rate is None else rate
        for _ in range(num_steps):
            torch.stack([(parameter**2).sum() for parameter in parameters]).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return parameters[0].detach()

    after = train(50)
    assert after.isfinite().all(), f"{what}: makes parameters that are not finite"
    assert after.norm() < start.norm(), f"{what}: 50 steps down a parabola do not come nearer to its minimum"
    assert torch.equal(after, train(50)), f"{what}: equal trainings give different bits"
    assert torch.equal(train(3, rate=0.0), start), f"{what}: changes parameters while the learning rate is 0"


def check_augmentation(name: str, /, **options: Any) -> None:
    """Check an augmentation: it must keep the shape and the type of images, and must change some of them.

    The result for an image must depend on the image and its own random numbers alone, not on the other images of the
    batch or on torch's own generator. The given images must stay as they are.
    """
    import torch

    check_options(augmentations, name)
    made, what, rng = augmentations[name](**options), f"augmentation {name}", np.random.default_rng(0)
    assert isinstance(made.draws, int), f"{what}: its draws are {made.draws!r}, should be a whole number"
    assert made.draws > 0, f"{what}: its draws are {made.draws}, should be at least 1"
    for side in ((16, 16), (9, 12)):
        pixels = torch.from_numpy(rng.integers(256, size=(48, *side, 3)).astype(np.uint8))
        images, draws = pixels.permute(0, 3, 1, 2), rng.random((48, made.draws))
        before, numbers = images.clone(), draws.copy()
        after = made(images, draws)
        assert torch.equal(images, before), f"{what}: writes to the images that it is given"
        assert np.array_equal(draws, numbers), f"{what}: writes to the random numbers that it is given"
        assert after.dtype == torch.uint8, f"{what}: gives {after.dtype}, should be uint8"
        assert after.shape == images.shape, (
            f"{what}: gives the shape {tuple(after.shape)}, should be {tuple(images.shape)}"
        )
        assert not torch.equal(after, images), f"{what}: changes none of {len(images)} images"
        assert torch.equal(made(images, draws), after), f"{what}: equal random numbers give different images"
        alone = torch.cat([made(images[row : row + 1], draws[row : row + 1]) for row in range(len(images))])
        assert torch.equal(alone, after), f"{what}: the result for an image depends on the other images of its batch"
