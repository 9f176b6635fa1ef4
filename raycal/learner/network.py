"""torchvision's networks, opened before their last layer."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.ops import StochasticDepth

from raycal.learner.device import kept_generators


class Head(nn.Linear):
    """The last layer of a network; bypassed, it lets the features through."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.bypassed = False  # of the object, not of the class: torch.compile watches it there

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, D); the features themselves when bypassed."""
        return features if self.bypassed else super().forward(features)


def new_network(name: str, num_classes: int, rng: np.random.Generator) -> nn.Module:
    """torchvision's network of this name with a `Head`; its state dict has torchvision's names.

    Args:
        rng: Draws the weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        network: nn.Module = get_model(name, num_classes=num_classes)
        path, last = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
        network.set_submodule(path, Head(last.in_features, last.out_features))
    return network


def head_of(network: nn.Module) -> tuple[str, Head]:
    """The last layer and what its names in the state dict begin with, such as `fc.`."""
    return next((f"{path}.", module) for path, module in network.named_modules() if isinstance(module, Head))


def features_of(network: nn.Module, head: Head, images: Tensor) -> Tensor:
    """What the last layer is given (B, D), of images (B, 3, H, W)."""
    head.bypassed = True
    try:
        features: Tensor = network(images)
    finally:
        head.bypassed = False
    return features


@contextmanager
def own_draws(network: nn.Module, rng: np.random.Generator, device: torch.device, rank: int) -> Iterator[None]:
    """Has the layers that draw in training, such as dropout, draw from `rng`; torch's own generator is left as it was.

    A network without such layers takes nothing from `rng`.

    Args:
        rank: Of the worker, each of which draws for other images.
    """
    draws = any(isinstance(layer, nn.Dropout | StochasticDepth) and layer.p > 0 for layer in network.modules())
    if not draws:
        yield
        return
    with kept_generators(device):
        torch.manual_seed(int(rng.integers(2**62)) + rank)
        yield
