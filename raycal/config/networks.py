"""The networks that a configuration may name, as torchvision calls them. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """What is known of a network without making it.

    Attributes:
        gflop: Multiply-adds of a forward pass at 224 px, in 10^9.
        weights_file: The file of torchvision's `IMAGENET1K_V1` weights.
        weights_mb: Its size in megabytes.
        image_size: The only one it takes; None: any.
    """

    gflop: float
    weights_file: str
    weights_mb: int
    image_size: int | None = None


NETWORKS: Mapping[str, Network] = {
    "resnet18": Network(1.814, "resnet18-f37072fd.pth", 45),
    "resnet34": Network(3.664, "resnet34-b627a593.pth", 83),
    "resnet50": Network(4.089, "resnet50-0676ba61.pth", 98),
    "resnet101": Network(7.801, "resnet101-63fe2227.pth", 171),
    "mobilenet_v3_small": Network(0.057, "mobilenet_v3_small-047dcff4.pth", 10),
    "mobilenet_v3_large": Network(0.217, "mobilenet_v3_large-8738ca79.pth", 21),
    "efficientnet_b0": Network(0.386, "efficientnet_b0_rwightman-7f5810bc.pth", 20),
    "convnext_tiny": Network(4.456, "convnext_tiny-983f1562.pth", 109),
    "convnext_small": Network(8.684, "convnext_small-0c510722.pth", 192),
    "swin_t": Network(4.491, "swin_t-704ceda3.pth", 108),
    "vit_b_16": Network(17.564, "vit_b_16-c867db91.pth", 330, image_size=224),
    "vit_b_32": Network(4.409, "vit_b_32-d86f8d99.pth", 337, image_size=224),
}
