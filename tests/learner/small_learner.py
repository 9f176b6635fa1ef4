"""A small network, images of one noisy color per class, and comparisons of weights."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from raycal.algorithm.randomness import stream
from raycal.algorithm.records import TrainingSet
from raycal.config import TrainingConfig
from raycal.data import ImageDataset, LoadedDataset, VectorDataset
from raycal.learner.device import DeviceSettings
from raycal.learner.feature_extractor import FeatureExtractor
from raycal.learner.learner import FineTuner, NetworkLearner
from raycal.networks import NetworkFacts, networks
from raycal.networks.registry import Builder

FLOAT32 = DeviceSettings(torch.device("cpu"), torch.float32)

# The number of features of the network `narrow/resnet`.
WIDTH = 128


@networks.family("narrow")
def narrow(rest: str) -> tuple[Builder, NetworkFacts]:
    """ResNet-18 with a quarter of its channels and half of its blocks: a training takes a fraction of the time."""

    def build(num_classes: int) -> nn.Module:
        network = NarrowResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes)
        network.fc = nn.Linear(network.inplanes, num_classes)
        return network

    return build, NetworkFacts(gflop=lambda side: 0.02 * (side / 224) ** 2)


class NarrowResNet(ResNet):
    def _make_layer(self, block: Any, planes: int, *others: Any, **options: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // 4, *others, **options)


TRAINING = TrainingConfig(epochs=6, batch_size=16, learning_rate=0.01, image_size=32, dtype="float32")


def dataset(num_train: int = 32, num_test: int = 12, num_classes: int = 3, side: int = 16) -> ImageDataset:
    """Images of one noisy color per class; the test images come first in the array."""
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=num_train + num_test)
    colors = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [128, 128, 128]])[labels]
    noise = rng.integers(-25, 25, size=(len(labels), side, side, 3))
    return ImageDataset(
        images=(colors[:, None, None] + noise).astype(np.uint8),
        labels=labels.astype(np.int64),
        train_rows=np.arange(num_test, num_test + num_train),
        test_rows=np.arange(num_test),
        class_names=tuple("abcd"[:num_classes]),
    )


def vectors(num_train: int = 40, num_test: int = 21, num_classes: int = 3, num_features: int = 6) -> VectorDataset:
    """Vectors around one point per class; the test vectors come first in the array."""
    rng = np.random.default_rng(0)
    labels = rng.integers(num_classes, size=num_train + num_test)
    centers = 3 * rng.standard_normal((num_classes, num_features))
    return VectorDataset(
        vectors=(centers[labels] + rng.standard_normal((len(labels), num_features))).astype(np.float32),
        labels=labels.astype(np.int64),
        train_rows=np.arange(num_test, num_test + num_train),
        test_rows=np.arange(num_test),
        class_names=tuple("abcd"[:num_classes]),
    )


def extractor(
    images: LoadedDataset,
    device_settings: DeviceSettings = FLOAT32,
    *,
    image_size: int = 32,
    seed: int = 0,
    network: str = "narrow/resnet",
    **options: Any,
) -> FeatureExtractor:
    """A network with weights drawn by the seed."""
    rng = stream(seed, 0, "backbone")
    return FeatureExtractor(
        images, image_size, network=network, weights=None, rng=rng, device_settings=device_settings, **options
    )


def learner(images: LoadedDataset, training: TrainingConfig = TRAINING, seed: int = 0) -> NetworkLearner:
    made = FineTuner(extractor(images, seed=seed, image_size=training.image_size), training)
    made.reset(stream(seed, 0, "head"))
    return made


def everything(images: LoadedDataset) -> TrainingSet:
    return TrainingSet(indices=np.arange(images.num_train), labels=images.train_labels)


def weights(made: NetworkLearner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.extractor.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def without_batch_statistics(made: NetworkLearner) -> NetworkLearner:
    """Let batch normalization use the running statistics in training, too, so that a sample's loss does not depend on
    the other samples of its batch.
    """
    for module in made.extractor.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
    return made


def flat(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in state.values()])
