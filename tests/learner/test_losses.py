from math import exp, log

import pytest
import torch
from torch import Tensor

from raycal.learner.losses import Loss, losses

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
LABELS = torch.tensor([0, 1])
POSITIONS = torch.tensor([4, 2])


def probs_of_labels() -> list[float]:
    return [exp(2) / (exp(2) + 1 + exp(-1)), exp(0.5) / (2 * exp(0.5) + exp(3))]


def value(loss: Loss) -> list[float]:
    return loss(LOGITS, LABELS, POSITIONS).tolist()


@pytest.mark.parametrize("name", tuple(losses))
def test_loss_depends_on_differences_of_logits_alone(name: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    losses[name](5)(logits, LABELS, POSITIONS).sum().backward()

    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(1), torch.zeros(2), atol=1e-6, rtol=0)


def test_cross_entropy() -> None:
    assert value(losses["cross_entropy"](5)) == pytest.approx([-log(p) for p in probs_of_labels()])


def test_label_smoothing() -> None:
    all_classes = LOGITS.log_softmax(1).mean(1).tolist()
    expected = [-0.8 * log(p) - 0.2 * mean for p, mean in zip(probs_of_labels(), all_classes, strict=True)]

    assert value(losses["label_smoothing"](5, smoothing=0.2)) == pytest.approx(expected)


@pytest.mark.parametrize("q", [0.7, 1.0])
def test_generalized_cross_entropy(q: float) -> None:
    assert value(losses["gce"](5, q=q)) == pytest.approx([(1 - p**q) / q for p in probs_of_labels()])


def test_symmetric_cross_entropy() -> None:
    expected = [-0.1 * log(p) + 2 * 9.210340 * (1 - p) for p in probs_of_labels()]

    assert value(losses["sce"](5, alpha=0.1, beta=2.0)) == pytest.approx(expected, rel=1e-5)


def test_early_learning_regularization_keeps_a_target_of_each_sample() -> None:
    def probs(logit: float) -> tuple[float, float]:
        return exp(logit) / (exp(logit) + 1), 1 / (exp(logit) + 1)

    def seen(loss: Loss, logit: float, position: int) -> Tensor:
        return loss(torch.tensor([[logit, 0.0]]), torch.tensor([0]), torch.tensor([position]))

    loss = losses["elr"](2, lam=3.0, momentum=0.7)
    first, second = probs(1.0), probs(2.0)
    target = [0.3 * p for p in first]
    expected = -log(first[0]) + 3 * log(1 - sum(t * p for t, p in zip(target, first, strict=True)))
    assert seen(loss, 1.0, 1).item() == pytest.approx(expected, rel=1e-5)

    target = [0.7 * t + 0.3 * p for t, p in zip(target, second, strict=True)]
    expected = -log(second[0]) + 3 * log(1 - sum(t * p for t, p in zip(target, second, strict=True)))
    untouched = seen(losses["elr"](2), 1.0, 0).item()
    assert seen(loss, 2.0, 1).item() == pytest.approx(expected, rel=1e-5)
    assert seen(loss, 1.0, 0).item() == untouched
