"""Keeps the first layers of a network at their initial weights, so that only the layers behind them are trained."""

from collections.abc import Iterator
from difflib import get_close_matches

from torch import nn

from raycal.errors import InputError
from raycal.learner.network import Head

# An error message lists at most this many layers.
_MOST_NAMED = 40


def freeze_up_to(network: nn.Module, layer: str) -> None:
    """Freeze every layer up to and including a layer, in the order in which the network registers its layers.

    The parameters of frozen layers get no gradient. Frozen layers always run as in evaluation, so batch normalization
    keeps its running statistics, and dropout drops nothing. Parameters that a module holds itself, such as the position
    embeddings of a transformer, are frozen if the layer lies inside this module.

    Args:
        layer: The path of a layer, such as `layer3` of a ResNet or `features.13` of MobileNetV2.

    Raises:
        InputError: There is no such layer before the last one.
    """
    modules = list(network.named_modules())
    end = _end(modules, layer)
    head = next(position for position, (_, module) in enumerate(modules) if isinstance(module, Head))
    if not end:
        raise InputError(f"{layer}: the network has no such layer{_hint(network, layer)}")
    if end > head:
        raise InputError(f"{layer}: it contains the last layer or comes after it; true freezes all layers but the last")
    for path, module in modules[:end]:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(requires_grad=False)
        if _end(modules, path) <= end:
            _keep_in_evaluation(module)


def frozen_layers(network: nn.Module, layer: str) -> list[nn.Module]:
    """The layers that run completely before the end of a layer, without the layers inside of them."""
    modules = list(network.named_modules())
    end = _end(modules, layer)
    found: dict[str, nn.Module] = {}
    for path, module in modules[:end]:
        is_inside = any(path.startswith(f"{outer}.") for outer in found)
        if _end(modules, path) <= end and not is_inside:
            found[path] = module
    return list(found.values())


def _end(modules: list[tuple[str, nn.Module]], layer: str) -> int:
    """The number of modules up to and including a layer and all that it contains; 0 if there is no such layer."""
    if not layer:
        return len(modules)
    inside = (number for number, (path, _) in enumerate(modules, 1) if path == layer or path.startswith(f"{layer}."))
    return max(inside, default=0)


def _keep_in_evaluation(module: nn.Module) -> None:
    """Put a module into evaluation mode for good, whatever mode the network around it is put into."""
    module.eval()

    def train(mode: bool = True) -> nn.Module:
        return module

    module.train = train  # type: ignore[method-assign]


def _hint(network: nn.Module, layer: str) -> str:
    """The end of an error message, which names layers that can be frozen."""
    names = list(_layers(network))
    near = get_close_matches(layer, names, n=3)
    return f" (did you mean {' or '.join(near)}?)" if near else f"; there are {', '.join(names[:_MOST_NAMED])}"


def _layers(network: nn.Module) -> Iterator[str]:
    """The layers with weights in the two outermost levels of a network that come before its last layer."""
    for path, module in network.named_modules():
        if isinstance(module, Head):
            return
        holds_head = any(isinstance(inner, Head) for inner in module.modules())
        if path.count(".") < 2 and not holds_head and any(True for _ in module.parameters()):
            yield path
