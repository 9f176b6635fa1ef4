"""Runs only the part of a network that lies behind its frozen layers, on activations that were computed before.

The frozen layers of a network always compute the same activations of an image, so they need to run only once for each
image. This works for a network that is a chain: the layers up to the last frozen one run one after another, and nothing
behind them uses anything else than the output of that layer. Whether a network is such a chain is tried out.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from raycal.learner.frozen_layers import frozen_layers

logger = logging.getLogger(__name__)


class _ReachedError(Exception):
    """The last frozen layer has run, so the rest of the network need not run."""


class BehindFrozen(nn.Module):
    """The part of a network behind its frozen layers, as a network whose inputs are the activations of these layers.

    Args:
        network: The network, whose weights this network shares. While it runs alone, nothing about it is changed.
        layer: The last frozen layer.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        self._last = network.get_submodule(layer)
        self._is_skipped = False
        for module in frozen_layers(network, layer):
            module.forward = self._skippable(module.forward)

    def forward(self, activations: Tensor) -> Tensor:
        """What the network computes from the activations of the last frozen layer."""
        with self._skipping():
            computed: Tensor = self.network(activations)
        return computed

    @torch.inference_mode()
    def activations(self, images: Tensor) -> Tensor:
        """The activations of the last frozen layer for a batch of images."""
        found: list[Tensor] = []

        def stop(module: nn.Module, inputs: object, output: Tensor) -> None:
            found.append(output)
            raise _ReachedError

        handle = self._last.register_forward_hook(stop)
        try:
            self.network(images)
        except _ReachedError:
            pass
        finally:
            handle.remove()
        return found[0]

    @torch.inference_mode()
    def is_exact(self, images: Tensor) -> bool:
        """Whether the network computes exactly the same from activations as from images, as far as a batch shows."""
        was_training = self.network.training
        self.network.eval()
        try:
            expected = self.network(images)
            computed = self(self.activations(images))
            return expected.shape == computed.shape and bool(torch.equal(expected, computed))
        except Exception as error:  # a network that is no chain can fail in any way
            logger.debug("the frozen layers cannot be skipped: %s", error)
            return False
        finally:
            self.network.train(was_training)

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        self._is_skipped = True
        try:
            yield
        finally:
            self._is_skipped = False

    def _skippable(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The forward pass of a layer, which returns its first input while the frozen layers are skipped."""

        def run(*inputs: Any, **options: Any) -> Any:
            return inputs[0] if self._is_skipped else forward(*inputs, **options)

        return run
