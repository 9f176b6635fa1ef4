"""Networks of vectors, such as embeddings that another program has computed. They need no image and no weights."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le, Lt

from raycal.networks.registry import networks

if TYPE_CHECKING:
    from torch import nn


@networks("linear", gflop=5.12e-6, input="vectors")
def linear(num_classes: int, num_features: int) -> "nn.Module":
    """A linear classifier: the network consists of its head, and its embeddings are the vectors themselves."""
    from torch import nn

    return nn.Sequential(OrderedDict(head=nn.Linear(num_features, num_classes)))


@networks("mlp", gflop=1.36e-4, input="vectors")
def mlp(
    num_classes: int,
    num_features: int,
    *,
    hidden: Annotated[int, Ge(1), Le(65_536)] = 256,
    layers: Annotated[int, Ge(1), Le(16)] = 1,
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> "nn.Module":
    """A multilayer perceptron, whose embeddings are the outputs of its last hidden layer.

    Args:
        hidden: The number of outputs of each hidden layer.
        layers: The number of hidden layers. Each is a linear layer with ReLU.
        dropout: The share of the outputs of each hidden layer that a training sets to zero at random.
    """
    from torch import nn

    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(layers):
        parts[f"hidden{number}"] = nn.Linear(hidden if number else num_features, hidden)
        parts[f"relu{number}"] = nn.ReLU()
        parts[f"dropout{number}"] = nn.Dropout(dropout)
    parts["head"] = nn.Linear(hidden, num_classes)
    return nn.Sequential(parts)
