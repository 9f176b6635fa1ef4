"""Networks, opened before their last layer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from raycal.errors import InputError
from raycal.learner.device import kept_generators
from raycal.networks import networks


class Head(nn.Linear):
    """The last layer of a network; bypassed, it lets the features through."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.bypassed = False  # of the object, not of the class: torch.compile watches it there

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, K) of features (B, D); the features themselves when bypassed."""
        return features if self.bypassed else super().forward(features)


def new_network(
    name: str, num_classes: int, rng: np.random.Generator, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """The registered network of this name, whose last layer is a `Head`; the names in its state dict stay the same.

    Args:
        rng: Draws the weights; torch's own generator is left as it was.
        options: Of the network.

    Raises:
        InputError: Its last layer cannot be found, or does not give a logit for each class.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        network = networks[name](num_classes, **(options or {}))
        path, last = _last_layer(network, name)
        if last.out_features != num_classes:
            raise InputError(
                f"the network {name}: its last layer {path} has {last.out_features} outputs for {num_classes} classes"
            )
        network.set_submodule(path, Head(last.in_features, last.out_features))
    return network


def _last_layer(network: nn.Module, name: str) -> tuple[str, nn.Linear]:
    """The layer that gives the logits, and its path: the layer that the facts name, else the last linear one."""
    linear = [(path, module) for path, module in network.named_modules() if path and isinstance(module, nn.Linear)]
    named = networks.facts(name).head
    found = [(path, module) for path, module in linear if named in (None, path)]
    if not found:
        known = ", ".join(path for path, _ in linear) or "none"
        wanted = "no nn.Linear" if named is None else f"no nn.Linear called {named!r}"
        raise InputError(f"the network {name}: {wanted} inside the module could be its last layer; there are: {known}")
    return found[-1]


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
