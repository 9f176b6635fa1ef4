"""The registry of networks, and the facts about each network that are known without building it."""

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
        url: The address of the file. If its name contains the beginning of the file's SHA-256, as in
            `net-0123abcd.pth`, the downloaded file is checked against it.
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
        gflop: Multiply-adds of a forward pass of one image at 224 px, or at `image_size`, in 10^9; the dry run uses
            them.
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
