"""Optimizers, by the names that a sweep file uses.

A new optimizer is one decorated function, here or in a plug-in: decorate a function `(parameters, settings, *,
options)` that returns a `torch.optim.Optimizer` with `@optimizers("name")`. The function is called again for every
training. The names and options are needed in processes that do not import torch, so each function imports torch in its
body.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Protocol

from annotated_types import Ge, Gt, Lt

from raycal.registry import Registry

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


Beta = Annotated[float, Ge(0), Lt(1)]


class OptimizerSettings(Protocol):
    """The settings that most optimizers have, which are therefore not options of a single optimizer. Only `sgd` uses
    the momentum.
    """

    @property
    def learning_rate(self) -> float: ...
    @property
    def momentum(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


optimizers: Registry[Callable[..., "Optimizer"]] = Registry("optimizer")


@optimizers("sgd")
def sgd(parameters: "Sequence[nn.Parameter]", settings: OptimizerSettings) -> "Optimizer":
    """Stochastic gradient descent with momentum, as in the paper."""
    import torch

    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=_is_fused(parameters),
    )


@optimizers("adamw")
def adamw(
    parameters: "Sequence[nn.Parameter]",
    settings: OptimizerSettings,
    *,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Annotated[float, Gt(0)] = 1e-8,
) -> "Optimizer":
    """Adam with weight decay that is not part of the gradient, and so not of its statistics (Loshchilov & Hutter
    2019).
    """
    import torch

    return torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=(betas[0], betas[1]),  # `betas` is a list if it was read from a file
        eps=eps,
        weight_decay=settings.weight_decay,
        fused=_is_fused(parameters),
    )


def _is_fused(parameters: "Sequence[nn.Parameter]") -> bool | None:
    """Whether one kernel updates all parameters, as on a GPU. None leaves the choice to torch."""
    return True if parameters[0].is_cuda else None
