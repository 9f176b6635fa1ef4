"""The classification networks of timm, by the names `timm/<name>` that timm gives them, with or without a tag.

`timm/resnet50.a1_in1k` and `timm/resnet50` name the same network. The tag says which of timm's published weights
`weights: pretrained` means and how their images were prepared; without a tag, timm's default tag counts. timm and torch
are only imported when a name of this family is used.

What raycal takes from timm about a network:

- The images are resized to `training.image_size`, with the interpolation of the network's weights, and normalized with
  the mean and the standard deviation that belong to the weights. If a sweep gives no size, the size is that of the
  images with which the weights were trained. The center crop with which timm evaluates (`crop_pct`) is not applied: the
  network sees the whole square.
- A network that is built for one size, such as a vision transformer, is built for `training.image_size`, and its
  position embeddings are interpolated.
- The embeddings are the inputs of the classifier. A classifier that is a convolution of 1x1 pixels behind the pooling
  is run as the linear layer that it is. Networks with several classifiers, or with none, cannot be used.
"""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Lt

from raycal.errors import InputError, one_line, shortened
from raycal.installed import is_installed
from raycal.networks.registry import REASON_LENGTH, Builder, NetworkFacts, PretrainedWeights, networks

if TYPE_CHECKING:
    from torch import Tensor, nn

_Rate = Annotated[float, Ge(0), Lt(1)] | None

FAMILY = "timm"
_SECONDS_TO_ANSWER = 10
# If a network does not say by which number the side of its images must be divisible, sizes are proposed in these steps.
_USUAL_STEP = 32
# The name of the linear layer in the module that replaces a convolution.
_LINEAR = "linear"


@networks.family(FAMILY)
def from_timm(rest: str) -> tuple[Builder, NetworkFacts]:
    """The function that builds timm's network of this name, and the facts about the network.

    Raises:
        InputError: timm is not installed, has no network of this name, or the network has no linear classifier.
    """
    if not is_installed("timm"):
        raise InputError("timm is not installed: pip install 'raycal[timm]'")
    if rest not in _names():
        raise InputError(f"no such network {_hint(rest)}")
    network = _TimmNetwork(rest)
    return network.builder(), network.facts()


@cache
def _names() -> frozenset[str]:
    """The names of all networks, without tags and with each tag."""
    import timm

    return frozenset(timm.list_models()) | frozenset(timm.list_pretrained())


def _hint(rest: str) -> str:
    """A hint at the network that a wrong name may mean."""
    import timm

    base, dot, _ = rest.partition(".")
    if dot and base in _names():
        tags = sorted(name for name in timm.list_pretrained() if name.startswith(f"{base}."))
        near = get_close_matches(rest, tags, n=1) or tags[:1] or [base]
    else:
        near = get_close_matches(rest, sorted(_names()), n=1)
    if near:
        return f"(did you mean '{FAMILY}/{near[0]}'?)"
    return f"(timm has no network {rest!r}; `timm.list_models()` lists its {len(_names()):,} names)"


class _TimmNetwork:
    """One network of timm.

    Args:
        rest: The name of the network in timm.
    """

    def __init__(self, rest: str) -> None:
        from timm.models import get_pretrained_cfg

        self._rest, self._name = rest, f"{FAMILY}/{rest}"
        config: Any = get_pretrained_cfg(rest)
        self._config = config
        self._own_size = int(min(config.input_size[-2:]))
        self._examined: dict[int, float | None] = {}

    def facts(self) -> NetworkFacts:
        """The facts about the network, except its cost, which is counted on demand."""
        import timm

        config = self._config
        return NetworkFacts(
            gflop=self._gflop,
            own_size=self._own_size,
            misfit=self._misfit,
            is_built_for_size=True,
            head=self._head,
            mean=tuple(config.mean),
            std=tuple(config.std),
            interpolation="bicubic" if config.interpolation == "bicubic" else "bilinear",
            pretrained=self._pretrained(),
            adapted=_adapted,
            classifiers=self._classifiers,
            version=f"{FAMILY} {timm.__version__}",
        )

    def builder(self) -> Builder:
        """The function that builds the network. The options of this function are the rates of the random layers of the
        network.
        """

        def build(
            num_classes: int,
            image_size: int | None = None,
            *,
            drop_rate: _Rate = None,
            drop_path_rate: _Rate = None,
        ) -> "nn.Module":
            rates = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
            return self._build(
                num_classes, image_size, **{key: rate for key, rate in rates.items() if rate is not None}
            )

        signature = inspect.signature(build)
        kept = [
            parameter
            for name, parameter in signature.parameters.items()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY or name in self._arguments
        ]
        build.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return build

    def _build(self, num_classes: int, image_size: int | None = None, **arguments: Any) -> "nn.Module":
        made = self._create(num_classes, image_size, **arguments)
        if self._is_convolution:
            _make_linear(made, *self._classifiers)
        return made

    def _create(self, num_classes: int, image_size: int | None = None, **arguments: Any) -> "nn.Module":
        """The network as timm builds it."""
        import timm

        if image_size is not None and image_size != self._own_size and self._takes_size:
            arguments["img_size"] = image_size
        made: nn.Module = timm.create_model(self._rest, num_classes=num_classes, **{"pretrained": False, **arguments})
        return made

    @cached_property
    def _without_memory(self) -> "nn.Module":
        """The network as timm builds it, with tensors that have no values if it can be built with such tensors."""
        import torch

        with torch.random.fork_rng(devices=[]):
            try:
                with torch.device("meta"):
                    return self._create(2)
            except Exception:  # some networks read values when they are built
                return self._create(2)

    @property
    def _arguments(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(type(self._without_memory).__init__).parameters

    @property
    def _takes_size(self) -> bool:
        """Whether the network must be built for the size of the images."""
        return bool(self._config.fixed_input_size) and "img_size" in self._arguments

    @property
    def _classifiers(self) -> tuple[str, ...]:
        """The paths of the layers that compute logits, in timm's network."""
        paths = self._config.classifier
        return (paths,) if isinstance(paths, str) else tuple(paths or ())

    @property
    def _head(self) -> str:
        """The path of the linear layer that computes the logits.

        Raises:
            InputError: There is no such layer, or there are several.
        """
        from torch import nn

        modules, paths = dict(self._without_memory.named_modules()), self._classifiers
        if len(paths) == 1 and isinstance(modules.get(paths[0]), nn.Linear):
            return paths[0]
        if self._is_convolution:
            return f"{paths[0]}.{_LINEAR}"
        has = f"{len(paths)} classifiers ({', '.join(paths)})" if len(paths) > 1 else "no linear classifier"
        raise InputError(f"{self._name} has {has}; networks that have one linear classifier fit, such as timm/resnet50")

    @property
    def _is_convolution(self) -> bool:
        """Whether the classifier is a convolution of single pixels."""
        from torch import nn

        layer = dict(self._without_memory.named_modules()).get(self._classifiers[0]) if self._classifiers else None
        return isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and len(self._classifiers) == 1

    def _gflop(self, image_size: int) -> float:
        """The multiply-adds of a forward pass of one image, in 10^9."""
        counted = self._examine(image_size)
        if counted is None:
            raise InputError(f"{self._name} does not accept images of {image_size} px")
        return counted

    def _examine(self, image_size: int) -> float | None:
        """The multiply-adds of a forward pass of one image, in 10^9. None if the network does not accept this size."""
        if image_size not in self._examined:
            self._examined[image_size] = self._count(image_size, "meta")
            if self._examined[image_size] is None and not self._runs_without_values:
                self._examined[image_size] = self._count(image_size, "cpu")
        return self._examined[image_size]

    @cached_property
    def _runs_without_values(self) -> bool:
        """Whether the network runs with tensors without values. If it does, an error at another image size is due to
        the size.
        """
        return self._count(self._own_size, "meta") is not None

    def _count(self, image_size: int, device: str) -> float | None:
        """The multiply-adds of a forward pass of one image on a device, in 10^9. None if the network fails."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device):
                network = self._build(2, image_size).eval()
                with counter, torch.inference_mode():
                    network(torch.zeros(1, 3, image_size, image_size))
        except Exception:  # networks refuse sizes with many kinds of errors
            return None
        return counter.get_total_flops() / 2e9

    def _misfit(self, image_size: int) -> str | None:
        """Why the network does not accept images of a size, in words. None if the network accepts them."""
        if self._examine(image_size) is not None:
            return None
        near = [size for size in self._near(image_size) if self._examine(size) is not None]
        sizes = " or ".join(str(size) for size in sorted({*near, self._own_size}))
        return f"should be a size that {self._name} accepts, such as {sizes}, not {image_size}"

    def _near(self, image_size: int) -> tuple[int, ...]:
        """The nearest sizes to try, one smaller and one larger."""
        if not self._takes_size:
            return ()
        patch = getattr(getattr(self._without_memory, "patch_embed", None), "patch_size", None)
        step = int(patch[0]) if isinstance(patch, tuple) else _USUAL_STEP
        below = image_size // step * step
        return below, below + step

    def _pretrained(self) -> PretrainedWeights | None:
        """The weights that timm publishes for the name; None if timm publishes no weights for it."""
        config = self._config
        if not config.has_weights:
            return None
        files = _HubFiles(config.hf_hub_id, config.hf_hub_filename) if config.hf_hub_id else _UrlFile(config.url)

        def load(image_size: int | None) -> "Mapping[str, Tensor]":
            file = files.fetch()
            overlay = {"file": str(file), "custom_load": bool(config.custom_load) and file.suffix == ".npz"}
            made = self._create(1, image_size, pretrained=True, pretrained_cfg_overlay=overlay)
            return made.state_dict()

        return PretrainedWeights(
            url=files.url, is_here=lambda: files.cached() is not None, fetch=files.fetch, load=load
        )


class _HubFiles:
    """A file with weights on the Hugging Face Hub.

    Args:
        repository: The name of the repository, which may be followed by `@` and a revision.
        file: The name of the file. None for a file that has one of the usual names.
    """

    def __init__(self, repository: str, file: str | None) -> None:
        from huggingface_hub import constants

        self._repository, _, self._revision = repository.partition("@")
        self._files = (file,) if file else ("model.safetensors", "pytorch_model.bin")
        self.endpoint: str = constants.ENDPOINT
        self.url = f"{self.endpoint}/{self._repository}"

    def cached(self) -> Path | None:
        """The file on this machine; None if it is not here."""
        from huggingface_hub import try_to_load_from_cache

        for name in self._files:
            found = try_to_load_from_cache(self._repository, name, revision=self._revision or None)
            if isinstance(found, str):
                return Path(found)
        return None

    def fetch(self) -> Path:
        """The file on this machine, which is downloaded if it is not here.

        Raises:
            OSError: There is no network, or no such file.
        """
        from huggingface_hub import constants, hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        if (found := self.cached()) is not None:
            return found
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        _reach(self.endpoint)
        for name in self._files[:-1]:
            try:
                return Path(hf_hub_download(self._repository, name, revision=self._revision or None))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
        return Path(hf_hub_download(self._repository, self._files[-1], revision=self._revision or None))


class _UrlFile:
    """A file with weights behind an address, which torch keeps in its own folder."""

    def __init__(self, url: str) -> None:
        self.url = url

    def cached(self) -> Path | None:
        """The file on this machine; None if it is not here."""
        from torch.hub import get_dir

        file = Path(get_dir()) / "checkpoints" / self.url.rpartition("/")[2]
        return file if file.is_file() else None

    def fetch(self) -> Path:
        """The file on this machine, which is downloaded if it is not here."""
        from timm.models._hub import download_cached_file

        found = self.cached()
        return Path(download_cached_file(self.url, check_hash=True)) if found is None else found


def _reach(endpoint: str) -> None:
    """Raise an OSError if a server does not answer. The Hub's client would try again for most of a minute."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=_SECONDS_TO_ANSWER).close()
    except HTTPError:
        return  # the server has answered


def _make_linear(network: "nn.Module", path: str) -> None:
    """Replace a convolution of single pixels, which computes the logits, by the linear layer that it is."""
    from torch import nn

    class OfPixel(nn.Module):
        """A linear layer for images of a single pixel."""

        def __init__(self, in_channels: int, out_channels: int) -> None:
            super().__init__()
            self.linear = nn.Linear(in_channels, out_channels)  # `_LINEAR` holds the name of this attribute

        def forward(self, pixels: "Tensor") -> "Tensor":
            values: Tensor = self.linear(pixels.flatten(1))
            return values[:, :, None, None]

    layer = network.get_submodule(path)
    assert isinstance(layer, nn.Conv2d)
    network.set_submodule(path, OfPixel(layer.in_channels, layer.out_channels))


def _adapted(state: "Mapping[str, Tensor]", network: "nn.Module") -> "Mapping[str, Tensor]":
    """A state dict in the form that timm's network has: with the names that timm uses now, and with position embeddings
    for the size that the network was built for.

    Raises:
        InputError: timm cannot bring the state dict into this form.
    """
    import sys

    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        converted: Mapping[str, Tensor] = convert(dict(state), network)
    except Exception as error:  # weights of another network can fail in many ways
        words = shortened(one_line(f"{type(error).__name__}: {error}"), REASON_LENGTH)
        raise InputError(f"timm cannot adapt them ({words})") from error
    return converted
