"""The checks of networks and losses, which import torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from raycal.learner.losses import losses
from raycal.networks import NetworkFacts, networks
from raycal.testing.common import check_options

if TYPE_CHECKING:
    from torch import Tensor, nn

# The cost that a network declares and the counted cost may differ by at most this factor.
COST_FACTOR = 2.0
# The length of the vectors for which a network of vectors declares its cost, and the number of classes.
NUM_FEATURES, NUM_CLASSES = 512, 10


def check_network(name: str, /, **options: Any) -> None:
    """Check a network: its last layer must be found and must compute the logits, and its cost must be as declared.

    Equal seeds must draw the same weights. Building the network must not change the state of torch's own generator. The
    network must be trainable on a batch of two samples.
    """
    import torch

    from raycal.learner.network import embeddings_of, head_of, new_network

    check_options(networks, name)
    facts, what = networks.facts(name), f"network {name}"
    num_features = NUM_FEATURES if facts.input == "vectors" else None
    side = facts.image_size or facts.own_size or 32
    generator = torch.random.get_rng_state()
    first, again = (
        new_network(name, 3, np.random.default_rng(5), options, num_features=num_features, image_size=side)
        for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), generator), f"{what}: building it moves torch's own generator"
    state, other = first.state_dict(), again.state_dict()
    prefix, head = head_of(first)
    for key, value in state.items():
        same = key.startswith(prefix) or torch.equal(value, other[key])
        assert same, f"{what}: equal seeds draw different weights: {key}"
    samples = torch.rand(2, *_shape(facts, side), generator=torch.Generator().manual_seed(0))
    first.eval()
    with torch.inference_mode():
        embeddings, logits = embeddings_of(first, head, samples), first(samples)
        assert logits.shape == (2, 3), f"{what}: logits have the shape {tuple(logits.shape)}, should be (2, 3)"
        wide, layer = (2, head.in_features), prefix[:-1]
        assert embeddings.shape == wide, (
            f"{what}: what its last layer {layer} is given has the shape {tuple(embeddings.shape)}, should be {wide}"
        )
        assert torch.allclose(head(embeddings), logits, rtol=1e-4, atol=1e-5), (
            f"{what}: its logits are not what its last layer {prefix[:-1]} gives; name the right one with `head`"
        )
    first.train()
    first(samples).sum().backward()
    graded = [value.grad is not None for key, value in first.named_parameters() if key.startswith(prefix)]
    assert all(graded), f"{what}: its last layer {prefix[:-1]} gets no gradient"
    side = facts.usual_size
    gflop, declared = _gflop(name, options, facts), facts.cost(side)
    one = f"a vector of {NUM_FEATURES} values" if num_features else f"an image of {side} px"
    assert gflop / COST_FACTOR <= declared <= gflop * COST_FACTOR, (
        f"{what}: declares {declared:g} GFLOP (10^9 multiply-adds) for {one}, "
        f"but torch counts {gflop:.3g}; declare gflop={gflop:.3g}"
    )


def _shape(facts: NetworkFacts, side: int) -> tuple[int, ...]:
    """The shape of one sample that the network takes."""
    return (NUM_FEATURES,) if facts.input == "vectors" else (3, side, side)


def _gflop(name: str, options: Mapping[str, Any], facts: NetworkFacts) -> float:
    """The multiply-adds of a forward pass of one sample, in 10^9, as torch counts them, if possible without computing
    anything."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(device: str) -> float:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            sizes = (NUM_CLASSES, NUM_FEATURES) if facts.input == "vectors" else (3,)
            if facts.is_built_for_size:
                sizes = (3, facts.usual_size)
            network: nn.Module = networks[name](*sizes, **options).eval()
            counter = FlopCounterMode(display=False)
            with counter, torch.inference_mode():
                network(torch.zeros(1, *_shape(facts, facts.usual_size)))
        return counter.get_total_flops() / 2e9

    try:
        return count("meta")
    except (RuntimeError, NotImplementedError, TypeError):  # The network reads values, which meta tensors lack.
        return count("cpu")


def check_loss(name: str, /, **options: Any) -> None:
    """Check a loss: it must be a finite float32 for each sample, and a step against its gradient must raise the label's
    logit.

    The gradient must be finite. A sample of weight 0 must not affect the loss of other samples. The loss must accept a
    single class.
    """
    import torch

    check_options(losses, name)
    what = f"loss {name}"
    labels, positions = torch.tensor([0, 1]), torch.tensor([4, 2])

    def value(logits: "Tensor") -> "Tensor":
        of_samples = losses[name](5, **options)(logits, labels, positions)
        assert of_samples.shape == (2,), f"{what}: has the shape {tuple(of_samples.shape)}, should be (2,)"
        assert of_samples.dtype == torch.float32, f"{what}: is {of_samples.dtype}, should be float32"
        return of_samples

    for scale in (1.0, 1000.0):
        made = losses[name](5, **options)
        logits = (scale * torch.tensor([[1.0, -2.0, 0.0], [-1.0, 1.0, 2.0]])).requires_grad_()
        for _ in range(3):
            of_samples = made(logits, labels, positions)
        of_samples.sum().backward()  # type: ignore[no-untyped-call]
        assert of_samples.isfinite().all(), f"{what}: is not finite for logits of the size {scale:g}"
        assert logits.grad is not None, f"{what}: has no gradient"
        assert logits.grad.isfinite().all(), f"{what}: its gradient is not finite for logits of the size {scale:g}"
    example = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    logits = example.clone().requires_grad_()
    value(logits).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    raises = (logits.grad.gather(1, labels.unsqueeze(1)) < 0).all()
    assert raises, f"{what}: a step against its gradient does not raise the logit of the label"
    gradients = []
    for other in (example[1], torch.tensor([9.0, -9.0, 1.0])):
        logits = torch.stack([example[0], other]).requires_grad_()
        (value(logits) * torch.tensor([1.0, 0.0])).sum().backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        gradients.append(logits.grad)
        assert (logits.grad[1] == 0).all(), f"{what}: a sample of weight 0 has an effect"
    assert gradients[0][0].ne(0).any(), f"{what}: the gradient of a wrong sample is zero"
    alone = losses[name](5, **options)(torch.zeros(2, 1), torch.tensor([0, 0]), positions)
    assert alone.isfinite().all(), f"{what}: is not finite for a single class"
