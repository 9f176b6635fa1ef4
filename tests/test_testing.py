"""Tests that the public contract checks find what an extension does wrong, and describe it in words."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raycal import testing
from raycal.algorithm.acquisition import acquisitions
from raycal.algorithm.clustering import clusterings
from raycal.algorithm.clustering.protocol import finite_points
from raycal.algorithm.expert import Oracle, SampleAnswers, experts
from raycal.algorithm.pseudo_labels import PseudoLabels, pseudo_labels
from raycal.data import DatasetInfo, ImageDataset, datasets
from raycal.experiment import build
from raycal.learner.losses import losses
from raycal.learner.optimizers import optimizers
from raycal.networks import networks

NAME = "of_test_testing"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    for registry in build.REGISTRIES.values():
        if NAME in registry:
            registry.forget(NAME)


def always_first(view: Any, budget: int) -> Any:
    return np.full(min(budget, len(view.predictions.indices)), view.predictions.indices[0])


def rows(view: Any, budget: int) -> Any:
    return np.arange(min(budget, len(view.predictions.indices)))


def one_more(view: Any, budget: int) -> Any:
    return view.predictions.indices[: budget + 1]


def global_draws(view: Any, budget: int) -> Any:
    return np.random.permutation(view.predictions.indices)[:budget]  # noqa: NPY002


def floats(view: Any, budget: int) -> Any:
    return view.predictions.indices[:budget].astype(float)


def warns(view: Any, budget: int) -> Any:
    return view.predictions.indices[:budget] + 0 * np.log(np.zeros(1)).astype(np.int64)


def no_annotation(view: Any, budget: int, *, power=2) -> Any:  # type: ignore[no-untyped-def]
    return view.predictions.indices[:budget]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (always_first, "a sample is chosen twice"),
        (rows, "chooses what is not in view.predictions.indices"),
        (one_more, "asks for 2 samples, should ask for 1"),
        (global_draws, "equal seeds ask for different samples"),
        (floats, "indices are float64, should be int64"),
        (no_annotation, "the option power has no type annotation"),
    ],
)
def test_acquisition_that_breaks_the_contract_is_found(function: Callable[..., Any], words: str) -> None:
    acquisitions(NAME)(function)

    with pytest.raises(AssertionError, match=words):
        testing.check_acquisition(NAME)


def test_warning_of_an_acquisition_is_an_error() -> None:
    acquisitions(NAME)(warns)

    with pytest.raises(RuntimeWarning, match="divide by zero"):
        testing.check_acquisition(NAME)


def test_name_that_is_not_registered_is_said() -> None:
    with pytest.raises(AssertionError, match=r"there is no acquisition named 'of_test_testing'; registered are badge"):
        testing.check_acquisition(NAME)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (lambda points, number: np.full(len(points), number), "ids range from 1 to 1"),
        (lambda points, number: np.zeros(len(points)), "ids are float64, should be int64"),
        (lambda points, number: np.zeros((len(points), 1), np.int64), r"ids have the shape \(1, 1\)"),
        (lambda points, number: np.random.randint(number, size=len(points)), "equal seeds give different ids"),  # noqa: NPY002
        (lambda points, number: np.arange(len(points)) % number, "points that are far apart share a cluster"),
    ],
)
def test_clustering_that_breaks_the_contract_is_found(ids: Callable[..., Any], words: str) -> None:
    clusterings(NAME)(lambda embeddings, num_clusters, seed: ids(embeddings, num_clusters))

    with pytest.raises(AssertionError, match=words):
        testing.check_clustering(NAME)


def one_for_each_row_far_away(embeddings: Any, num_clusters: int, seed: int) -> Any:
    nearest = np.argmax(embeddings, axis=1)
    return np.minimum(nearest, num_clusters - 1).astype(np.int64) * bool(embeddings.max() > 50)


def test_clustering_that_takes_what_is_not_finite_is_found() -> None:
    clusterings(NAME)(one_for_each_row_far_away)
    with pytest.raises(AssertionError, match=r"takes embeddings that hold nan; begin with finite_points\(\)"):
        testing.check_clustering(NAME)
    clusterings.forget(NAME)

    clusterings(NAME)(lambda *given: one_for_each_row_far_away(finite_points(given[0]), *given[1:]))
    testing.check_clustering(NAME)


class Negative(Oracle):
    """An expert whose answers take negative time."""

    def label_samples(self, indices: Any, rng: Any) -> SampleAnswers:
        answers = super().label_samples(indices, rng)
        return SampleAnswers(labels=answers.labels, wrong=answers.wrong, seconds=answers.seconds - 100)


class Moody(Oracle):
    """An expert whose answer about an image depends on how many images it is shown."""

    def label_samples(self, indices: Any, rng: Any) -> SampleAnswers:
        answers = super().label_samples(indices, rng)
        labels = np.where(rng.random(len(indices)) < 0.5, answers.labels, 0)
        return SampleAnswers(labels=labels, wrong=None, seconds=answers.seconds)


class Sure(Oracle):
    """An expert who gives wrong labels but reports no label as wrong."""

    def label_samples(self, indices: Any, rng: Any) -> SampleAnswers:
        answers = super().label_samples(indices, rng)
        wrong = np.zeros(len(indices), np.bool_)
        return SampleAnswers(labels=np.zeros_like(answers.labels), wrong=wrong, seconds=answers.seconds)


@pytest.mark.parametrize(
    ("expert", "words"),
    [
        (Negative, "costs are negative"),
        (Moody, "the answer about a sample depends on what is asked with it"),
        (Sure, "`wrong` does not mark the labels that are not the true ones"),
    ],
)
def test_expert_that_breaks_the_contract_is_found(expert: type[Oracle], words: str) -> None:
    experts(NAME)(expert)

    with pytest.raises(AssertionError, match=words):
        testing.check_expert(NAME)


def test_pseudo_labels_that_break_the_contract_are_found() -> None:
    @pseudo_labels(NAME)
    def no_class(view: Any, iteration: int) -> PseudoLabels:
        return PseudoLabels(view.predictions.indices, np.full(len(view.predictions.indices), 10, np.int64))

    with pytest.raises(AssertionError, match="labels are not class ids"):
        testing.check_pseudo_labels(NAME)


class Tiny:
    """A dataset whose attributes a test changes."""

    def __init__(self, *, seed: int, image_size: int) -> None:
        self.rng = np.random.default_rng(seed)

    def inspect(self) -> DatasetInfo:
        return DatasetInfo(num_train=6, num_test=2, num_classes=2)

    def arrays(self) -> dict[str, Any]:
        return {
            "images": self.rng.integers(255, size=(8, 4, 4, 3), dtype=np.uint8),
            "labels": np.arange(8) % 2,
            "train_rows": np.arange(6),
            "test_rows": np.arange(6, 8),
        }

    def load(self, *, content: str | None = None) -> ImageDataset:
        return ImageDataset(**self.arrays(), class_names=("a", "b"))


def test_dataset_that_keeps_the_contract_is_let_pass() -> None:
    datasets(NAME)(Tiny)

    testing.check_dataset(NAME)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"test_rows": np.arange(5, 8)},
            r"inspect\(\) says \(6, 2\) training and test images, load\(\) gives \(6, 3\)",
        ),
        ({"test_rows": np.arange(5, 7)}, "an image is in both splits"),
        ({"labels": np.arange(8)}, "labels are not class ids"),
        ({"labels": np.zeros(8)}, "labels are float64, should be int64"),
        ({"images": np.zeros((8, 4, 4, 3), np.uint8)}, "all pixels are the same"),
        ({"images": np.zeros((8, 4, 4, 1), np.uint8)}, r"should be \(S, H, W, 3\)"),
        ({"images": np.zeros((8, 4, 4, 3))}, "images are float64, should be uint8"),
        ({"train_rows": np.arange(6)[::-1]}, "train_rows do not ascend"),
    ],
)
def test_dataset_that_breaks_the_contract_is_found(changed: dict[str, Any], words: str) -> None:
    class Changed(Tiny):
        def arrays(self) -> dict[str, Any]:
            return super().arrays() | changed

    datasets(NAME)(Changed)
    with pytest.raises(AssertionError, match=words):
        testing.check_dataset(NAME)


@pytest.mark.parametrize("labels", [np.full(8, -1), np.array([-1] * 7 + [0])])
def test_dataset_without_classes_has_no_label(labels: np.ndarray) -> None:
    class Unlabeled(Tiny):
        def inspect(self) -> DatasetInfo:
            return DatasetInfo(num_train=6, num_test=2, num_classes=0)

        def load(self, *, content: str | None = None) -> ImageDataset:
            return ImageDataset(**{**self.arrays(), "labels": labels}, class_names=())

    datasets(NAME)(Unlabeled)
    if (labels == -1).all():
        testing.check_dataset(NAME)
    else:
        with pytest.raises(AssertionError, match="there are labels but no classes"):
            testing.check_dataset(NAME)


class Unlike(nn.Module):
    """A network whose last linear layer does not give the logits."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.logits = nn.Linear(3, num_classes)
        self.unused = nn.Linear(3, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = self.logits(images.mean((2, 3)))
        return given


class Scaled(nn.Module):
    """A network that changes the output of its last layer."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(3, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = 2 * self.last(images.mean((2, 3)))
        return given


@pytest.mark.parametrize(
    ("network", "facts", "words"),
    [
        (Unlike, {"gflop": 1e-8}, "its logits are not what its last layer unused gives"),
        (Scaled, {"gflop": 9e-9}, "its logits are not what its last layer last gives"),
        (
            Unlike,
            {"gflop": 5.0, "head": "logits"},
            r"declares 5 GFLOP .* 224 px, but torch counts 9e-09; declare gflop=9e-09",
        ),
    ],
)
def test_network_that_breaks_the_contract_is_found(network: type[nn.Module], facts: Any, words: str) -> None:
    networks(NAME, **facts)(lambda num_classes: network(num_classes))

    with pytest.raises(AssertionError, match=words):
        testing.check_network(NAME)


def test_network_that_keeps_the_contract_is_let_pass() -> None:
    networks(NAME, gflop=9e-9, head="logits")(lambda num_classes: Unlike(num_classes))

    testing.check_network(NAME)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (lambda parameters, settings: parameters, "is list, should be a torch.optim.Optimizer"),
        (lambda parameters, settings: torch.optim.SGD(parameters[:1], lr=0.01), "has 1 of 2 parameters"),
        (lambda parameters, settings: torch.optim.SGD(parameters, lr=0.01, maximize=True), "do not come nearer"),
        (lambda parameters, settings: torch.optim.SGD(parameters, lr=1e30), "not finite"),
        (lambda parameters, settings: Noisy(parameters, lr=0.01), "equal trainings give different bits"),
    ],
)
def test_optimizer_that_breaks_the_contract_is_found(optimizer: Callable[..., Any], words: str) -> None:
    optimizers(NAME)(optimizer)

    with pytest.raises(AssertionError, match=words):
        testing.check_optimizer(NAME)


class Noisy(torch.optim.SGD):
    """Draws from torch's own generator."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data += 1e-3 * torch.rand_like(parameter)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda logits, labels, positions: logits.mean(1), "does not raise the logit of the label"),
        (
            lambda logits, labels, positions: logits.softmax(1).gather(1, labels[:, None]).log().neg()[:, 0],
            "not finite",
        ),
        (
            lambda logits, labels, positions: nn.functional.cross_entropy(logits, labels),
            r"has the shape \(\), should be \(2,\)",
        ),
    ],
)
def test_loss_that_breaks_the_contract_is_found(loss: Callable[..., Any], words: str) -> None:
    losses(NAME)(lambda num_samples: loss)

    with pytest.raises(AssertionError, match=words):
        testing.check_loss(NAME)
