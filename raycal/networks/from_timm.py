"""The classification networks of timm, by the names `timm/<name>` that timm gives them, with or without a tag.

`timm/resnet50.a1_in1k` and `timm/resnet50` name the same network; the tag says which of timm's published weights
`weights: pretrained` means. timm and torch are imported when such a name is used.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from raycal.errors import InputError
from raycal.installed import is_installed
from raycal.networks.registry import Builder, NetworkFacts, networks

if TYPE_CHECKING:
    from torch import nn

_T = TypeVar("_T")

FAMILY = "timm"
_USUAL_SIZE = 224


@networks.family(FAMILY)
def from_timm(rest: str) -> tuple[Builder, NetworkFacts]:
    """How timm's network of this name is built, and its facts.

    Raises:
        InputError: timm is not installed, has no network of this name, or the network has no linear classifier.
    """
    if not is_installed("timm"):
        raise InputError("timm is not installed: pip install 'raycal[timm]'")
    if rest not in _names():
        raise InputError(f"no such network {_hint(rest)}")
    build, config = _builder(rest), _config(rest)
    head = _classifier(rest, build)
    size = int(config.input_size[-1]) if config.fixed_input_size else None
    facts = NetworkFacts(
        gflop=cache(partial(_gflop, build, size or _USUAL_SIZE)),
        image_size=size,
        head=head,
        mean=tuple(config.mean),
        std=tuple(config.std),
    )
    return build, facts


@cache
def _names() -> frozenset[str]:
    """The names of all networks, without tags and with each tag."""
    import timm

    return frozenset(timm.list_models()) | frozenset(timm.list_pretrained())


def _hint(rest: str) -> str:
    near = get_close_matches(rest, sorted(_names()), n=1)
    if near:
        return f"(did you mean '{FAMILY}/{near[0]}'?)"
    return f"(timm has no network {rest!r}; `timm.list_models()` lists its {len(_names()):,} names)"


def _config(rest: str) -> Any:
    """What timm says about the weights of a name: the size, mean and deviation of their images, and the classifier."""
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(rest)


def _builder(rest: str) -> Builder:
    """The function that builds timm's network of this name."""

    def build(num_classes: int) -> "nn.Module":
        import timm

        made: nn.Module = timm.create_model(rest, pretrained=False, num_classes=num_classes)
        return made

    return build


def _classifier(rest: str, build: Builder) -> str:
    """The path of the linear layer that computes the logits.

    Raises:
        InputError: There is no such layer, or there are several.
    """
    from torch import nn

    paths = _config(rest).classifier
    paths = (paths,) if isinstance(paths, str) else tuple(paths or ())
    found = dict(_without_memory(lambda: build(2)).named_modules())
    if len(paths) == 1 and isinstance(found.get(paths[0]), nn.Linear):
        return str(paths[0])
    has = f"has {len(paths)} classifiers" if len(paths) > 1 else "has no linear layer that gives the logits"
    raise InputError(f"{has}; raycal trains a network with one linear classifier, such as {FAMILY}/resnet50")


def _gflop(build: Builder, side: int) -> float:
    """The multiply-adds of a forward pass of one image, in 10^9, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count() -> float:
        network, counter = build(2).eval(), FlopCounterMode(display=False)
        with counter, torch.inference_mode():
            network(torch.zeros(1, 3, side, side))
        return counter.get_total_flops() / 2e9

    return _without_memory(count)


def _without_memory(make: Callable[[], _T]) -> _T:
    """The result of a function whose tensors have no values or, if it reads values, of the function as it is."""
    import torch

    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return make()
        except (RuntimeError, NotImplementedError, TypeError):
            return make()
