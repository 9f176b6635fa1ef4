"""The networks that a sweep file may name, and the facts about each network that are known without building it.

A new network is one decorated function in one file of this folder, or in a plug-in: `(num_classes, *, options) ->
torch.nn.Module`. The module maps images (B, 3, H, W) to logits (B, num_classes). Names, options and facts are needed in
processes that do not import torch, so the function imports torch in its body. `gflop` is the cost of the network (see
`NetworkFacts`); if the given cost is wrong, `raycal.testing.check_network` reports the right value:

    @networks("small_cnn", gflop=0.043)
    def small_cnn(num_classes: int, *, width: int = 32):
        from torch import nn

        return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                             nn.Linear(width, num_classes))

One decorated function can also register all networks of another package, as a *family*; `raycal.networks.from_timm` is
an example.
"""

import pkgutil
from importlib import import_module

from raycal.networks.registry import (
    IMAGENET,
    IMAGENET_MEAN,
    IMAGENET_STD,
    PRETRAINED,
    USUAL_SIZE,
    Builder,
    Channels,
    Family,
    Interpolation,
    NetworkFacts,
    PretrainedWeights,
    PublishedWeights,
    is_of_family,
    networks,
)

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "IMAGENET",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PRETRAINED",
    "USUAL_SIZE",
    "Builder",
    "Channels",
    "Family",
    "Interpolation",
    "NetworkFacts",
    "PretrainedWeights",
    "PublishedWeights",
    "is_of_family",
    "networks",
]
