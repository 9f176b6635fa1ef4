"""Networks of torchvision, with the weights for ImageNet that torchvision publishes."""

from typing import TYPE_CHECKING

from raycal.networks.registry import Builder, PublishedWeights, networks

if TYPE_CHECKING:
    from torch import nn

_TORCHVISION_URL = "https://download.pytorch.org/models/"
# Each network has an entry: its name in torchvision, its cost, the file and the size in megabytes of its weights
# `IMAGENET1K_V1`, and the only image size that it accepts (None means any size).
_TORCHVISION = (
    ("resnet18", 1.814, "resnet18-f37072fd.pth", 45, None),
    ("resnet34", 3.664, "resnet34-b627a593.pth", 83, None),
    ("resnet50", 4.089, "resnet50-0676ba61.pth", 98, None),
    ("resnet101", 7.801, "resnet101-63fe2227.pth", 171, None),
    ("mobilenet_v2", 0.301, "mobilenet_v2-b0353104.pth", 14, None),
    ("mobilenet_v3_small", 0.057, "mobilenet_v3_small-047dcff4.pth", 10, None),
    ("mobilenet_v3_large", 0.217, "mobilenet_v3_large-8738ca79.pth", 21, None),
    ("efficientnet_b0", 0.386, "efficientnet_b0_rwightman-7f5810bc.pth", 20, None),
    ("convnext_tiny", 4.456, "convnext_tiny-983f1562.pth", 109, None),
    ("convnext_small", 8.684, "convnext_small-0c510722.pth", 192, None),
    ("swin_t", 4.491, "swin_t-704ceda3.pth", 108, None),
    ("vit_b_16", 17.564, "vit_b_16-c867db91.pth", 330, 224),
    ("vit_b_32", 4.409, "vit_b_32-d86f8d99.pth", 337, 224),
)


def _from_torchvision(name: str) -> Builder:
    """The function that builds torchvision's network of this name."""

    def build(num_classes: int) -> "nn.Module":
        from torchvision.models import get_model

        made: nn.Module = get_model(name, num_classes=num_classes)
        return made

    return build


for _name, _gflop, _file, _megabytes, _size in _TORCHVISION:
    networks(
        _name, gflop=_gflop, image_size=_size, imagenet=PublishedWeights(f"{_TORCHVISION_URL}{_file}", _megabytes)
    )(_from_torchvision(_name))
