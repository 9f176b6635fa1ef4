"""The registry of networks, and the facts about each network that are known without building it.

Some packages have more networks than a file can list. Such a package is registered as a *family*: one function gets the
rest of a name such as `timm/resnet50`, and returns the function that builds this network, and the facts about it. The
family's function is called only for names that are used, so a process that uses no such name does not import the
package.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from raycal.errors import InputError, one_line, shortened
from raycal.registry import Kind, Registry, check_name

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET, PRETRAINED = "imagenet", "pretrained"
# Mean and standard deviation of ImageNet's pixels, with which images are normalized for torchvision's networks.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Builder = Callable[..., "nn.Module"]
Channels = tuple[float, float, float]
Interpolation = Literal["bilinear", "bicubic"]
# The default of `training.image_size` for a network that has no size of its own.
USUAL_SIZE = 224
REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """A file with the state dict of a network, which is downloaded when a sweep asks for `weights: imagenet`.

    Attributes:
        url: The address of the file. If its name contains the beginning of the file's SHA-256, as in
            `net-0123abcd.pth`, the downloaded file is checked against it.
        megabytes: The size of the file.
    """

    url: str
    megabytes: int

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainedWeights:
    """Weights that the library of a network family downloads and keeps, for `weights: pretrained`.

    Attributes:
        url: The address that the weights are downloaded from.
        is_here: Says whether the weights are on this machine.
        fetch: Downloads the weights if they are not on this machine. Any error that it raises is shown to the user.
        load: Returns the state dict of the weights for images of a size, and downloads them first if they are not on
            this machine.
        instead: What the user can do without a network.
    """

    url: str
    is_here: Callable[[], bool]
    fetch: Callable[[], object]
    load: "Callable[[int | None], Mapping[str, Tensor]]"
    instead: str = "set model.weights to a file with these weights, or to none"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """The facts about a network that are known without building it.

    Attributes:
        gflop: Multiply-adds of a forward pass of one image at 224 px, or at `image_size`, in 10^9; the dry run uses
            this number. For a network of vectors it is the number for a vector of 512 values. It can also be a function
            that counts the multiply-adds for a given side length.
        image_size: The only side length in pixels that the network accepts. None means any size, unless `misfit` is
            given.
        own_size: The side length with which the network was pretrained, which is the default of `training.image_size`.
            None means 224.
        misfit: Says in words why the network does not accept a side length, or None if the network accepts it.
        is_built_for_size: Whether the function that builds the network gets the side length of the images, as
            `(num_classes, image_size, *, options)`.
        head: The path of the last layer, an `nn.Linear`, in the module. None means the last `nn.Linear` of the module.
            The inputs of this layer are the embeddings.
        mean: Mean of each channel, with which images are normalized. Pixels range from 0 to 1.
        std: Standard deviation of each channel, with which images are normalized.
        interpolation: How images are resized to `training.image_size`.
        imagenet: The weights for `weights: imagenet`. None means that there are no such weights. `weights: none` and a
            file of the user work for every network of images.
        pretrained: The weights for `weights: pretrained`. None means that there are no such weights.
        adapted: Returns a state dict in the form that this network has, for a file that a library wrote in another
            form. It raises an InputError if it cannot convert the file.
        classifiers: The paths under which a file with weights holds the last layer, if they differ from `head`.
        version: The library that builds the network, with its version, such as `timm 1.0.31`.
        input: The kind of samples that the network takes. A network of vectors is built with their length, and has no
            published weights: `(num_classes, num_features, *, options)`. A network of texts takes token ids and mask
            (B, 2, L), int64, and has the attribute `tokenize`, a `raycal.learner.tokens.Tokenizer`.
    """

    gflop: float | Callable[[int], float]
    image_size: int | None = None
    own_size: int | None = None
    misfit: Callable[[int], str | None] | None = None
    is_built_for_size: bool = False
    head: str | None = None
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    interpolation: Interpolation = "bilinear"
    imagenet: PublishedWeights | None = None
    pretrained: PretrainedWeights | None = None
    adapted: "Callable[[Mapping[str, Tensor], nn.Module], Mapping[str, Tensor]] | None" = None
    classifiers: tuple[str, ...] = ()
    version: str = ""
    input: Kind = "images"

    @property
    def usual_size(self) -> int:
        """The default of `training.image_size`."""
        return self.image_size or self.own_size or USUAL_SIZE

    def cost(self, image_size: int) -> float:
        """The multiply-adds of a forward pass of one image of this side length, or of one sample of another kind, in
        10^9.

        Unless the network has a function that counts the multiply-adds, they are taken to be proportional to the number
        of pixels.
        """
        if callable(self.gflop):
            return self.gflop(image_size)
        if self.input != "images":
            return self.gflop
        return self.gflop * (image_size / (self.image_size or USUAL_SIZE)) ** 2


Family = Callable[[str], tuple[Builder, NetworkFacts]]


class NetworkRegistry(Registry[Builder]):
    """The networks by name, with the facts about each network.

    Iterating over the registry yields the networks that were registered one by one, and no network of a family.
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

        The function gets the part of the name after the slash, and returns the function that builds this network, and
        the facts about it. It raises an InputError if it has no such network (`no such network (did you mean ...)`) or
        if a package is missing. Its result is kept, so it is called once for each name.
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
        return self._member(name)[0] if is_of_family(name) else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (
            isinstance(name, str) and is_of_family(name) and self.refusal(name) is None
        )

    def refusal(self, name: str) -> str | None:
        """Why there is no network of a name `family/rest`. None if there is such a network, and for a name without a
        slash.
        """
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
        return self._member(name)[1] if is_of_family(name) else self._facts[name]

    def _member(self, name: str) -> tuple[Builder, NetworkFacts]:
        """The function that builds a network of a family, and the facts about the network."""
        if name not in self._members:
            family, _, rest = name.partition("/")
            self._members[name] = self._families[family](rest)
        return self._members[name]


networks = NetworkRegistry()


def no_download(name: str, weights: PretrainedWeights, error: Exception) -> str:
    """What to say when the published weights of a network cannot be downloaded."""
    words = shortened(one_line(error) or type(error).__name__, REASON_LENGTH)
    return (
        f"model.weights: pretrained: the weights of {name} did not come from {weights.url} ({words}); "
        f"without a network, {weights.instead}"
    )


def is_of_family(name: str) -> bool:
    """Whether a name such as `timm/resnet50` belongs to a network of a family."""
    return "/" in name
