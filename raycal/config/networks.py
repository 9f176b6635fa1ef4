"""The networks that a configuration may name, as torchvision calls them. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """What is known of a network without making it.

    Attributes:
        gflop: Multiply-adds of a forward pass at 224 px, in 10^9.
        image_size: The only one it takes; None: any.
    """

    gflop: float
    image_size: int | None = None


NETWORKS: Mapping[str, Network] = {
    "resnet18": Network(1.814),
    "resnet34": Network(3.664),
    "resnet50": Network(4.089),
    "resnet101": Network(7.801),
    "mobilenet_v3_small": Network(0.057),
    "mobilenet_v3_large": Network(0.217),
    "efficientnet_b0": Network(0.386),
    "convnext_tiny": Network(4.456),
    "convnext_small": Network(8.684),
    "swin_t": Network(4.491),
    "vit_b_16": Network(17.564, image_size=224),
    "vit_b_32": Network(4.409, image_size=224),
}
