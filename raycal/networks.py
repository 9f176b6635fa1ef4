"""The networks that a sweep file may name, and the facts about each that are known without building it.

A new network is one decorated function, at the end of this file or in a plug-in: `(num_classes, *, options) ->
torch.nn.Module`. The module maps images (B, 3, H, W) to logits (B, num_classes). Names, options and facts are needed
where torch is not imported, so the function imports torch in its body. `gflop` is the cost; if it is wrong,
`raycal.testing.check_network` says the right one:

    @networks("small_cnn", gflop=0.043)
    def small_cnn(num_classes: int, *, width: int = 32):
        from torch import nn

        return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                             nn.Linear(width, num_classes))
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raycal.registry import Registry

if TYPE_CHECKING:
    from torch import nn

IMAGENET = "imagenet"
# Mean and standard deviation of ImageNet's pixels, with which images are normalized for torchvision's networks.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Builder = Callable[..., "nn.Module"]
Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A file with the state dict of a network, which is downloaded when a sweep asks for `weights: imagenet`.

    Attributes:
        url: The address of the file. If its name has the beginning of the file's SHA-256, as in `net-0123abcd.pth`, the
            downloaded file is checked against it.
        megabytes: Size of the file.
    """

    url: str
    megabytes: int

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """The facts about a network that are known without building it.

    Attributes:
        gflop: Multiply-adds of a forward pass of one image at 224 px, or at `image_size`, in 10^9; for the dry run.
        image_size: The only side length in pixels that the network accepts. None means any size.
        head: The path of the last layer, an `nn.Linear`, in the module. None means the last `nn.Linear` of the module.
            The inputs of this layer are the embeddings.
        mean: Mean of each channel, with which images are normalized. Pixels range from 0 to 1.
        std: Standard deviation of each channel, with which images are normalized.
        imagenet: The weights for `weights: imagenet`. None means that there are no such weights. `weights: none` and a
            file of the user work for every network.
    """

    gflop: float
    image_size: int | None = None
    head: str | None = None
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    imagenet: PublishedWeights | None = None

    @property
    def at_224(self) -> float:
        """The cost of an image at 224 px, in 10^9 multiply-adds, if it is proportional to the number of pixels."""
        return self.gflop if self.image_size is None else self.gflop * (224 / self.image_size) ** 2


class NetworkRegistry(Registry[Builder]):
    """The networks by name, with the facts about each."""

    def __init__(self) -> None:
        super().__init__("network")
        self._facts: dict[str, NetworkFacts] = {}

    def __call__(  # type: ignore[override]  # a network needs its cost
        self,
        name: str,
        *,
        gflop: float,
        image_size: int | None = None,
        head: str | None = None,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        imagenet: PublishedWeights | None = None,
    ) -> Callable[[Builder], Builder]:
        """Decorator that registers a network as `name`; `NetworkFacts` describes the arguments."""
        facts = NetworkFacts(gflop=gflop, image_size=image_size, head=head, mean=mean, std=std, imagenet=imagenet)
        register = super().__call__(name)

        def register_with_facts(build: Builder) -> Builder:
            register(build)
            self._facts[name] = facts
            return build

        return register_with_facts

    def forget(self, name: str) -> None:
        """Remove a network and its facts."""
        super().forget(name)
        del self._facts[name]

    def facts(self, name: str) -> NetworkFacts:
        """The facts about a network.

        Raises:
            KeyError: The name is not registered.
        """
        return self._facts[name]


networks = NetworkRegistry()

_TORCHVISION_URL = "https://download.pytorch.org/models/"
# Torchvision's name of each network, its cost, the file and size of its weights `IMAGENET1K_V1`, its only image size.
_TORCHVISION = (
    ("resnet18", 1.814, "resnet18-f37072fd.pth", 45, None),
    ("resnet34", 3.664, "resnet34-b627a593.pth", 83, None),
    ("resnet50", 4.089, "resnet50-0676ba61.pth", 98, None),
    ("resnet101", 7.801, "resnet101-63fe2227.pth", 171, None),
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
