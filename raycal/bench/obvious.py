"""The obvious script: one iteration of active learning without raycal, written as in the libraries' tutorials.

It uses a torchvision dataset of PIL images, a DataLoader, float32, one pass for the probabilities and one for the
embeddings, and Faiss for k-means.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.models import resnet18

from raycal.algorithm.records import Floats, Indices, Labels

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Labeled = dict[int, int]


class PilImages(Dataset[tuple[Tensor, int]]):
    """A dataset of images (S, H, W, 3) uint8 with labels, like torchvision's CIFAR10."""

    def __init__(self, images: npt.NDArray[np.uint8], labels: Labels, image_size: int) -> None:
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [transforms.Resize((image_size, image_size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class Relabeled(Dataset[tuple[Tensor, int]]):
    """A subset of the images with the labels from the expert."""

    def __init__(self, images: PilImages, labels: Labeled) -> None:
        self.images, self.labels = images, list(labels.items())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample, label = self.labels[index]
        return self.images[sample][0], label


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of the script, which equal the settings of raycal's arm."""

    image_size: int
    batch_size: int
    epochs: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    purity_threshold: float = 0.8
    workers: int = 0
    device: str = "cpu"

    def loader(self, dataset: Dataset[tuple[Tensor, int]], *, shuffle: bool = False) -> Any:
        """A DataLoader over the dataset."""
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=shuffle,
            num_workers=self.workers,
            pin_memory=self.device != "cpu",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The accuracy and the numbers of images of an iteration."""

    accuracy: float
    num_scored: int
    num_trained: int
    num_tested: int


def network(state: dict[str, Tensor], num_classes: int, device: str) -> nn.Module:
    """A ResNet-18 of torchvision with these weights."""
    model: nn.Module = resnet18(num_classes=num_classes)
    model.load_state_dict(state)
    return model.to(device)


@torch.no_grad()
def probabilities(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], recipe: Recipe) -> Floats:
    """Class probabilities (n, K), from one pass over the images."""
    model.eval()
    batches = [model(images.to(recipe.device)).softmax(1).cpu() for images, _ in recipe.loader(dataset)]
    probs: Floats = torch.cat(batches).numpy()
    return probs


@torch.no_grad()
def embeddings(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], recipe: Recipe) -> Floats:
    """Embeddings (n, 512), the inputs of the last layer, from a second pass over the images."""
    backbone = nn.Sequential(*list(model.children())[:-1]).eval()
    batches = [backbone(images.to(recipe.device)).flatten(1).cpu() for images, _ in recipe.loader(dataset)]
    concatenated: Floats = torch.cat(batches).numpy()
    return concatenated


def most_uncertain(probs: Floats, count: int) -> Indices:
    """The rows with the highest entropy."""
    entropy = -(probs * np.log(probs + 1e-12)).sum(axis=1)
    return np.argsort(-entropy)[:count]


def kmeans(points: Floats, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Cluster ids from Faiss, which clusters all points, as in the paper."""
    import faiss  # Faiss is imported late, so that the rest of the module works even if Faiss cannot be loaded.

    clusters = faiss.Kmeans(
        points.shape[1],
        count,
        niter=40,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
        gpu=faiss.get_num_gpus() > 0,
    )
    clusters.train(points)
    cluster_ids: npt.NDArray[np.int64] = clusters.index.search(points, 1)[1][:, 0]
    return cluster_ids


def train(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], recipe: Recipe) -> list[float]:
    """Train the model and return the loss of every step."""
    model.train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    losses = []
    for _ in range(recipe.epochs):
        for images, labels in recipe.loader(dataset, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images.to(recipe.device)), labels.to(recipe.device))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
    return losses


@torch.no_grad()
def accuracy(model: nn.Module, dataset: Dataset[tuple[Tensor, int]], recipe: Recipe) -> float:
    """The share of right predictions."""
    model.eval()
    right = total = 0
    for images, labels in recipe.loader(dataset):
        right += int((model(images.to(recipe.device)).argmax(1).cpu() == labels).sum())
        total += len(labels)
    return right / total


def iteration(
    asking: nn.Module,
    fresh: nn.Module,
    pool: PilImages,
    test: PilImages,
    labeled: Labeled,
    budget: int,
    recipe: Recipe,
) -> Outcome:
    """Score the unlabeled images, ask for labels of the most uncertain ones and of clusters, train and evaluate.

    Args:
        asking: The model that was trained in the iteration before.
        fresh: The model to train.
        labeled: The label of each image that is labeled already, by its index.
        budget: The number of interactions; one half is spent on images, the other on clusters.
    """
    unlabeled = [sample for sample in range(len(pool)) if sample not in labeled]
    left = Subset(pool, unlabeled)
    probs, points = probabilities(asking, left, recipe), embeddings(asking, left, recipe)
    label_of = dict(labeled)
    rows = most_uncertain(probs, budget - budget // 2)
    label_of |= {unlabeled[row]: int(pool.labels[unlabeled[row]]) for row in rows}

    rest = np.setdiff1d(np.arange(len(unlabeled)), rows)
    cluster_ids = kmeans(points[rest], budget // 2)
    for cluster in range(budget // 2):
        members = [unlabeled[row] for row in rest[cluster_ids == cluster]]
        counts = np.bincount(pool.labels[members], minlength=1)
        if members and counts.max() / len(members) >= recipe.purity_threshold:
            label_of |= dict.fromkeys(members, int(counts.argmax()))

    train(fresh, Relabeled(pool, label_of), recipe)
    return Outcome(
        accuracy=accuracy(fresh, test, recipe),
        num_scored=len(unlabeled),
        num_trained=len(label_of),
        num_tested=len(test),
    )
