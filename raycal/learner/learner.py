"""ResNet-18 behind the loop's `Learner` protocol."""

import io
import logging
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from raycal.algorithm.records import Evaluation, Indices, Predictions, TrainingSet
from raycal.config import TrainingConfig
from raycal.data import ImageDataset
from raycal.errors import DivergedError
from raycal.learner.device import Placement
from raycal.learner.images import DeviceImages
from raycal.learner.network import EMBEDDING_WIDTH, new_network
from raycal.learner.weights import StateDict

logger = logging.getLogger(__name__)

# Pixels of one scoring batch; bounds the memory of the first feature maps (about 0.6 GB on a CPU at float32).
SCORING_PIXELS = {"cpu": 2**20, "cuda": 2**24}


class ResNetLearner:
    """torchvision's ResNet-18 with a fresh head, trained on the labels given.

    Args:
        weights: Of the backbone (see `load_weights`); None: drawn from `rng`, the same for every iteration.
        rng: Draws the backbone when there are no weights.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        training: TrainingConfig,
        *,
        weights: StateDict | None,
        rng: np.random.Generator,
        placement: Placement | None = None,
    ) -> None:
        self.placement = placement or Placement.choose(training.dtype)
        self._dataset, self._training = dataset, training
        self._images = DeviceImages(dataset.images, training.image_size, self.placement)
        self._network = new_network(dataset.num_classes, rng).to(
            self.placement.device, memory_format=torch.channels_last
        )
        if weights is not None:
            self._network.load_state_dict(weights, strict=False)
        self._initial = {name: value.clone() for name, value in self._network.state_dict().items()}

    def reset(self, rng: np.random.Generator) -> None:
        """Alg. 1, line 3: the initial weights in place, the head drawn from `rng` as torch draws a linear layer."""
        bound = EMBEDDING_WIDTH**-0.5
        head = {
            name: torch.from_numpy(rng.uniform(-bound, bound, tuple(self._initial[name].shape)).astype(np.float32))
            for name in ("fc.weight", "fc.bias")
        }
        self._network.load_state_dict(self._initial | head)

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> None:
        """Alg. 1, line 15: SGD over the samples in a new order every epoch; an empty set changes nothing.

        Raises:
            DivergedError: The loss is not finite.
        """
        if not len(training_set.indices):
            logger.warning("nothing is annotated yet: the model stays untrained")
            return
        settings, network = self._training, self._network
        network.train()
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        rows = self._on_device(self._dataset.train_rows[training_set.indices])
        labels = self._on_device(training_set.labels)
        for epoch in range(settings.epochs):
            losses = [self._step(optimizer, rows[b], labels[b], f) for b, f in self._epoch(len(rows), rng)]
            self._must_be_finite(bool(torch.stack(losses).isfinite().all()), f"training loss of epoch {epoch + 1}")

    def predict(self, indices: Indices) -> Predictions:
        """One pass over samples of the pool: class probabilities (n, K) and average-pool features (n, 512).

        Raises:
            DivergedError: A prediction is not finite.
        """
        probs = np.empty((len(indices), self._dataset.num_classes), np.float32)
        embeddings = np.empty((len(indices), EMBEDDING_WIDTH), np.float32)
        for part, features, logits in self._forward(self._dataset.train_rows[indices]):
            probs[part] = logits.softmax(1).cpu().numpy()
            embeddings[part] = features.cpu().numpy()
        self._must_be_finite(bool(np.isfinite(probs).all() and np.isfinite(embeddings).all()), "predictions")
        return Predictions(indices=indices, probs=probs, embeddings=embeddings)

    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split.

        Raises:
            DivergedError: The loss is not finite.
        """
        labels = self._on_device(self._dataset.test_labels)
        right = torch.zeros((), dtype=torch.int64, device=self.placement.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.placement.device)
        for part, _, logits in self._forward(self._dataset.test_rows):
            right += (logits.argmax(1) == labels[part]).sum()
            loss += functional.cross_entropy(logits, labels[part], reduction="sum")
        self._must_be_finite(bool(loss.isfinite()), "test loss")
        return Evaluation(accuracy=right.item() / len(labels), loss=loss.item() / len(labels))

    def save(self) -> bytes:
        """The weights as they are now."""
        buffer = io.BytesIO()
        torch.save(self._network.state_dict(), buffer)
        return buffer.getvalue()

    def load(self, saved: bytes) -> None:
        """The weights of an earlier `save`."""
        self._network.load_state_dict(torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True))

    def _step(self, optimizer: torch.optim.Optimizer, rows: Tensor, labels: Tensor, flip: Tensor | None) -> Tensor:
        """One step of SGD on a batch; the loss stays on the device."""
        batch = self._images.batch(rows, flip)
        with self.placement.autocast():
            logits = self._network(batch)
        loss = functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    def _epoch(self, num_samples: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Positions of each batch of an epoch, and which of its images to mirror."""
        order = rng.permutation(num_samples)
        mirrored = self._on_device(rng.random(num_samples) < 0.5) if self._training.horizontal_flip else None
        for part in batches(num_samples, self._training.batch_size):
            positions = order[part]
            if len(positions) == 1:  # batch normalisation needs two; the mean loss of two copies is that of one
                positions = positions.repeat(2)
            batch = self._on_device(positions)
            yield batch, None if mirrored is None else mirrored[batch]

    @torch.inference_mode()
    def _forward(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Features (B, 512) and logits (B, K) in float32 of the dataset's rows, batch by batch."""
        self._network.eval()
        size = max(16, SCORING_PIXELS[self.placement.device.type] // self._training.image_size**2)
        on_device = self._on_device(rows)
        for begin in range(0, len(rows), size):
            part = slice(begin, min(begin + size, len(rows)))
            batch = self._images.batch(on_device[part])
            with self.placement.autocast():
                features = self._network.features(batch)
                logits = self._network.fc(features)
            yield part, features.float(), logits.float()

    def _must_be_finite(self, finite: bool, what: str) -> None:
        if not finite:
            rate = self._training.learning_rate
            raise DivergedError(f"training diverged: the {what} is not finite; lower training.learning_rate ({rate:g})")

    def _on_device(self, array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.placement.device, non_blocking=True)


def batches(num_samples: int, batch_size: int) -> list[slice]:
    """Consecutive parts of `batch_size`; a single sample left over joins the part before it."""
    begins = list(range(0, num_samples, batch_size))
    if len(begins) > 1 and num_samples - begins[-1] == 1:
        begins.pop()
    return [slice(begin, end) for begin, end in zip(begins, [*begins[1:], num_samples], strict=True)]
