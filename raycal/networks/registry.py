"""The registry of networks, and the facts about each network that are known without building it.

Some packages have more networks than a file can list. Such a package is a *family*: a function that is given the rest
of a name such as `timm/resnet50` and returns how this network is built, and its facts. The function is called only for
names that are used, so a process that uses none of them does not import the package.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from raycal.errors import InputError
from raycal.registry import Kind, Registry, check_name

if TYPE_CHECKING:
    from torch import nn

IMAGENET, PRETRAINED = "imagenet", "pretrained"
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
            them. For a network of vectors they are those of a vector of 512 values. If counting them takes time, this
            is a function that counts them.
        image_size: The only side length in pixels that the network accepts. None means any size.
        head: The path of the last layer, an `nn.Linear`, in the module. None means the last `nn.Linear` of the module.
            The inputs of this layer are the embeddings.
        mean: Mean of each channel, with which images are normalized. Pixels range from 0 to 1.
        std: Standard deviation of each channel, with which images are normalized.
        imagenet: The weights for `weights: imagenet`. None means that there are no such weights. `weights: none` and a
            file of the user work for every network of images.
        input: The kind of samples that the network takes. A network of vectors is built with their length, and has no
            published weights: `(num_classes, num_features, *, options)`.
    """

    gflop: float | Callable[[], float]
    image_size: int | None = None
    head: str | None = None
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    imagenet: PublishedWeights | None = None
    input: Kind = "images"

    @property
    def cost(self) -> float:
        """The multiply-adds of a forward pass of one image at 224 px, or at `image_size`, in 10^9."""
        return self.gflop() if callable(self.gflop) else self.gflop

    @property
    def at_224(self) -> float:
        """The cost of an image at 224 px, in 10^9 multiply-adds, if it is proportional to the number of pixels."""
        return self.cost if self.image_size is None else self.cost * (224 / self.image_size) ** 2


Family = Callable[[str], tuple[Builder, NetworkFacts]]


class NetworkRegistry(Registry[Builder]):
    """The networks by name, with the facts about each.

    Iterating over the registry yields the networks that were registered one by one, and none of a family.
    """

    def __init__(self) -> None:
        super().__init__("network")
        self._facts: dict[str, NetworkFacts] = {}
        self._families: dict[str, Family] = {}
        self._members: dict[str, tuple[Builder, NetworkFacts]] = {}

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
        input: Kind = "images",
    ) -> Callable[[Builder], Builder]:
        """Decorator that registers a network as `name`; `NetworkFacts` describes the arguments."""
        facts = NetworkFacts(
            gflop=gflop, image_size=image_size, head=head, mean=mean, std=std, imagenet=imagenet, input=input
        )
        register = super().__call__(name)

        def register_with_facts(build: Builder) -> Builder:
            register(build)
            self._facts[name] = facts
            return build

        return register_with_facts

    def family(self, name: str) -> Callable[[Family], Family]:
        """Decorator that registers all networks called `name/...` by one function.

        The function is given what follows the slash, and returns how this network is built, and its facts. It raises
        an InputError if it has no such network (`no such network (did you mean ...)`) or if a package is missing. Its
        result is kept, so it is called once for each name.
        """

        def register(resolve: Family) -> Family:
            check_name("network family", name, self._families)
            self._families[name] = resolve
            return resolve

        return register

    def families(self) -> Iterator[str]:
        """The names of the families, without a slash."""
        return iter(sorted(self._families))

    def registered(self) -> Iterator[str]:
        """The names of the networks that were registered one by one, and the families, such as `timm/`."""
        yield from self
        yield from (f"{family}/" for family in self.families())

    def definition(self, key: str) -> Callable[..., Any]:
        """The function that was registered for a network, or for a family such as `timm/`."""
        return self._families[key[:-1]] if key.endswith("/") else super().definition(key)

    def forget(self, name: str) -> None:
        """Remove a network and its facts, or a family such as `timm/`."""
        if not name.endswith("/"):
            super().forget(name)
            del self._facts[name]
            return
        del self._families[name[:-1]]
        for member in [member for member in self._members if member.startswith(name)]:
            del self._members[member]

    def __getitem__(self, name: str) -> Builder:
        """The function that builds a network.

        Raises:
            KeyError: The name is not registered.
            InputError: The family has no network of this name.
        """
        return self._member(name)[0] if "/" in name else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and "/" in name and self.refusal(name) is None)

    def refusal(self, name: str) -> str | None:
        """Why there is no network of a name `family/rest`. None if there is one, and for a name without a slash."""
        family, slash, rest = name.partition("/")
        if not slash:
            return None
        if family not in self._families:
            near = get_close_matches(family, self._families, n=1)
            known = ", ".join(f"{one}/..." for one in self.families())
            hint = f"(did you mean '{near[0]}/{rest}'?)" if near else f"(names with a slash are: {known})"
            return f"no such {self.kind} {hint}"
        try:
            self._member(name)
        except InputError as error:
            return str(error)
        return None

    def facts(self, name: str) -> NetworkFacts:
        """The facts about a network.

        Raises:
            KeyError: The name is not registered.
            InputError: The family has no network of this name.
        """
        return self._member(name)[1] if "/" in name else self._facts[name]

    def _member(self, name: str) -> tuple[Builder, NetworkFacts]:
        """How a network of a family is built, and its facts."""
        if name not in self._members:
            family, _, rest = name.partition("/")
            self._members[name] = self._families[family](rest)
        return self._members[name]


networks = NetworkRegistry()
