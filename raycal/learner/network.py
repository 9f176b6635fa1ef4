"""torchvision's ResNet-18, opened where its features leave the average pool."""

import numpy as np
import torch
from torch import Tensor
from torchvision.models.resnet import BasicBlock, ResNet

EMBEDDING_WIDTH = 512


class ResNet18(ResNet):  # type: ignore[misc]
    """torchvision's `resnet18` with the same names in its state dict (He et al. 2016)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Average-pool features (B, 512) of images (B, 3, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.flatten(self.avgpool(x), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits: Tensor = self.fc(self.features(images))
        return logits


def new_network(num_classes: int, rng: np.random.Generator) -> ResNet18:
    """A network with weights drawn from `rng`; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        return ResNet18(num_classes)
