"""Networks whose embeddings, the inputs of the last layer, can be read."""

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
    """The last layer of a network; when bypassed, it returns its input, the embeddings."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.bypassed = False  # an instance attribute, because torch.compile places guards on such attributes

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) of embeddings (B, D), or the embeddings themselves if the layer is bypassed."""
        return embeddings if self.bypassed else super().forward(embeddings)

    def resize(self, out_features: int) -> None:
        """Give the layer another number of logits. If the number changes, the weights are undefined afterwards."""
        if out_features != self.out_features:
            self.weight = nn.Parameter(self.weight.new_empty(out_features, self.in_features))
            self.bias = nn.Parameter(self.bias.new_empty(out_features))
            self.out_features = out_features


def new_network(
    name: str,
    num_classes: int,
    rng: np.random.Generator,
    options: Mapping[str, Any] | None = None,
    *,
    num_features: int | None = None,
    image_size: int | None = None,
) -> nn.Module:
    """A new registered network whose last layer is replaced by a `Head`; the names in its state dict stay the same.

    Args:
        rng: Draws the weights; torch's global generator is left unchanged.
        options: The options of the network.
        num_features: The length of the vectors that the network takes. None for a network of other samples.
        image_size: The side of the images in pixels, for a network that is built for a size. None means the size with
            which the network was pretrained.

    Raises:
        InputError: The last layer cannot be found, or its number of logits is not the number of classes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        if num_features is not None:
            sizes: tuple[int | None, ...] = (num_classes, num_features)
        else:
            sizes = (num_classes, image_size) if networks.facts(name).is_built_for_size else (num_classes,)
        network = networks[name](*sizes, **(options or {}))
        path, last = _last_layer(network, name)
        if last.out_features != num_classes:
            raise InputError(
                f"the network {name}: its last layer {path} has {last.out_features} outputs for {num_classes} classes"
            )
        network.set_submodule(path, Head(last.in_features, last.out_features))
    return network


def _last_layer(network: nn.Module, name: str) -> tuple[str, nn.Linear]:
    """The path of the layer that computes the logits, and this layer. It is the layer that the network's facts name or,
    if they name none, the last linear layer.

    Raises:
        InputError: There is no such layer.
    """
    linear = [(path, module) for path, module in network.named_modules() if path and isinstance(module, nn.Linear)]
    named = networks.facts(name).head
    candidates = [(path, module) for path, module in linear if named in (None, path)]
    if not candidates:
        known = ", ".join(path for path, _ in linear) or "none"
        wanted = "no nn.Linear" if named is None else f"no nn.Linear called {named!r}"
        raise InputError(f"the network {name}: {wanted} inside the module could be its last layer; there are: {known}")
    return candidates[-1]


def head_of(network: nn.Module) -> tuple[str, Head]:
    """The prefix that the names of the last layer have in the state dict, such as `fc.`, and this layer."""
    return next((f"{path}.", module) for path, module in network.named_modules() if isinstance(module, Head))


def embeddings_of(network: nn.Module, head: Head, inputs: Tensor) -> Tensor:
    """Embeddings (B, D), the inputs of the last layer, of a batch of B samples."""
    head.bypassed = True
    try:
        embeddings: Tensor = network(inputs)
    finally:
        head.bypassed = False
    return embeddings


@contextmanager
def seeded_layers(network: nn.Module, rng: np.random.Generator, device: torch.device, rank: int) -> Iterator[None]:
    """Seed the random layers of a training, such as dropout, from `rng`; torch's generators are restored afterwards.

    Nothing is drawn from `rng` for a network without such layers.

    Args:
        rank: The rank of the worker. Each worker needs its own draws, because it trains on other samples.
    """
    if not any(_draws(layer) for layer in network.modules()):
        yield
        return
    with kept_generators(device):
        torch.manual_seed(int(rng.integers(2**62)) + rank)
        yield


def _draws(layer: nn.Module) -> bool:
    """Whether a layer draws random numbers in training, to drop values, channels, patches or whole branches.

    Such layers are those of torch and torchvision, and the layers of timm, each of which has another name for its rate.
    Some networks of timm drop values with a function instead of a layer, and keep the rate in `drop_rate`.
    """
    is_dropout = "drop" in type(layer).__name__.lower() or isinstance(layer, StochasticDepth)
    names = ("p", "prob", "drop_prob", "drop", "drop_rate") if is_dropout else ("drop_rate",)
    rates = [getattr(layer, name, None) for name in names]
    return any(isinstance(rate, float | int) and rate > 0 for rate in rates)
