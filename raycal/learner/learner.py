"""ResNet-18 behind the loop's `Learner` protocol."""

import io
import logging
from collections.abc import Iterator
from math import isfinite

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from raycal.algorithm.acquisition import Head
from raycal.algorithm.records import Evaluation, Floats, Indices, Predictions, TrainingSet
from raycal.config import TrainingConfig
from raycal.data import ImageDataset
from raycal.errors import DivergedError, InputError
from raycal.learner.device import Placement
from raycal.learner.images import DeviceImages
from raycal.learner.network import EMBEDDING_WIDTH, new_network
from raycal.learner.pool_features import backbone_digest, images_digest, pool_features
from raycal.learner.team import Team, together
from raycal.learner.weights import StateDict

logger = logging.getLogger(__name__)

# Pixels of one scoring batch; bounds the memory of the first feature maps (about 0.6 GB on a CPU at float32).
SCORING_PIXELS = {"cpu": 2**20, "cuda": 2**24}


class ResNetLearner:
    """torchvision's ResNet-18 with a fresh head, trained on the labels given.

    With several workers each has a learner of its own and does its part of what worker 0's is asked: a part of every
    batch, of the pool and of the test split. The batch size is that of all workers together. Batch normalisation takes
    the statistics of a worker's own part, and at the end the running ones are those of worker 0.

    Args:
        weights: Of the backbone (see `load_weights`); None: drawn from `rng`, the same for every iteration.
        rng: Draws the backbone when there are no weights.
        team: The workers of this trial; None: this one alone.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        training: TrainingConfig,
        *,
        weights: StateDict | None,
        rng: np.random.Generator,
        placement: Placement | None = None,
        team: Team | None = None,
    ) -> None:
        self.placement = placement or Placement.choose(training.dtype)
        self.team = team or Team.alone()
        self._dataset, self._training = dataset, training
        self._images = DeviceImages(dataset.images, training.image_size, self.placement)
        self._scoring_batch = max(16, SCORING_PIXELS[self.placement.device.type] // training.image_size**2)
        self._network = new_network(dataset.num_classes, rng).to(
            self.placement.device, memory_format=torch.channels_last
        )
        if weights is not None:
            self._network.load_state_dict(weights, strict=False)
        self._initial = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._has_initial_backbone = True
        self._initial_features: Floats | None = None

    @together
    def reset(self, rng: np.random.Generator) -> None:
        """Alg. 1, line 3: the initial weights in place, the head drawn from `rng` as torch draws a linear layer."""
        bound = EMBEDDING_WIDTH**-0.5
        head = {
            name: torch.from_numpy(rng.uniform(-bound, bound, tuple(self._initial[name].shape)).astype(np.float32))
            for name in ("fc.weight", "fc.bias")
        }
        self._network.load_state_dict(self._initial | head)
        self._has_initial_backbone = True

    @together
    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> None:
        """Alg. 1, line 15: SGD over the samples in a new order every epoch; an empty set changes nothing.

        Raises:
            DivergedError: The loss is not finite.
        """
        if not len(training_set.indices):
            logger.warning("nothing is annotated yet: the model stays untrained")
            return
        self._has_initial_backbone = False
        settings = self._training
        network = self.team.parallel(self._network).train()
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        rows = self._on_device(self._dataset.train_rows[training_set.indices])
        labels = self._on_device(training_set.labels)
        for epoch in range(settings.epochs):
            losses = []
            for batch, flip, weight in self._epoch(len(rows), rng):
                loss = self._loss(network, rows[batch], labels[batch], flip)
                optimizer.zero_grad(set_to_none=True)
                (loss * weight).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(loss.detach())
            finite = self.team.all(bool(torch.stack(losses).isfinite().all()))
            self._must_be_finite(finite, f"training loss of epoch {epoch + 1}")
        self._take_statistics_of_worker_0()

    def predict(self, indices: Indices) -> Predictions:
        """Class probabilities (n, K) and average-pool features (n, 512) of samples of the pool; on worker 0 only.

        One pass over their images; or, before any training, over those of the whole pool, once.

        Raises:
            DivergedError: A prediction is not finite.
        """
        if self._has_initial_backbone:
            embeddings = self._features_before_training()[indices]
        else:
            embeddings = self._features(self._dataset.train_rows[indices])
        probs = self._probs(embeddings)
        self._must_be_finite(bool(np.isfinite(probs).all()), "predictions")
        return Predictions(indices=indices, probs=probs, embeddings=embeddings)

    def head(self) -> Head:
        """The last layer as it is now; on every worker the same, so none is asked."""
        weights, bias = (value.detach().cpu().numpy().copy() for value in self._network.fc.parameters())
        return Head(weights=weights, bias=bias)

    @together
    @torch.inference_mode()
    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split.

        Raises:
            DivergedError: The loss is not finite.
        """
        own, total = self.team.part(self._dataset.num_test), self._dataset.num_test
        labels = self._on_device(self._dataset.test_labels[own])
        right = torch.zeros((), dtype=torch.int64, device=self.placement.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.placement.device)
        for part, features in self._forward(self._dataset.test_rows[own]):
            logits = self._logits(features)
            right += (logits.argmax(1) == labels[part]).sum()
            loss += functional.cross_entropy(logits, labels[part], reduction="sum")
        all_right, all_loss = self.team.sum(right.item(), loss.item())
        self._must_be_finite(isfinite(all_loss), "test loss")
        return Evaluation(accuracy=all_right / total, loss=all_loss / total)

    def save(self) -> bytes:
        """The weights as they are now."""
        buffer = io.BytesIO()
        torch.save(self._network.state_dict(), buffer)
        return buffer.getvalue()

    @together
    def load(self, saved: bytes) -> None:
        """The weights of an earlier `save`.

        Raises:
            InputError: They are not.
        """
        try:
            self._network.load_state_dict(torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True))
        except Exception as error:  # there is no end of ways in which bytes are no state dict
            raise InputError("state: the model is not one that raycal saved; move the folder away") from error
        self._has_initial_backbone = False

    def _epoch(self, num_samples: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor | None, float]]:
        """This worker's part of each batch of an epoch: positions, which of their images to mirror, and a weight.

        With the weights the mean over the workers, of the mean loss of each, is the mean loss of the batch.
        """
        order = rng.permutation(num_samples)
        mirrored = self._on_device(rng.random(num_samples) < 0.5) if self._training.horizontal_flip else None
        for part in batches(num_samples, self._training.batch_size):
            positions = order[part]
            own = positions[self.team.part(len(positions))]
            weight = len(own) * self.team.size / len(positions)
            if len(own) < 2:  # batch normalisation needs two; the mean loss of two copies is that of one
                own = (own if len(own) else positions[:1]).repeat(2)
            batch = self._on_device(own)
            yield batch, None if mirrored is None else mirrored[batch], weight

    def _loss(self, network: nn.Module, rows: Tensor, labels: Tensor, flip: Tensor | None) -> Tensor:
        """Mean cross-entropy of a batch; stays on the device."""
        batch = self._images.batch(rows, flip)
        with self.placement.autocast():
            logits = network(batch)
        return functional.cross_entropy(logits.float(), labels)

    def _take_statistics_of_worker_0(self) -> None:
        if self.team.size > 1:
            own = {name: value.cpu() for name, value in self._network.named_buffers()}
            self._network.load_state_dict(self.team.share(own), strict=False)

    def _features_before_training(self) -> Floats:
        """Features (P, 512) of the whole pool by the initial backbone."""
        if self._initial_features is None:
            key = {
                "content": "features of the pool before training",
                "images": images_digest(self._dataset),
                "backbone": backbone_digest(self._initial),
                "image_size": self._training.image_size,
                "scoring_batch": self._scoring_batch,
                "workers": self.team.size,
                "hardware": self.placement.hardware(),
                **self.placement.describe(),
            }
            self._initial_features = pool_features(key, lambda: self._features(self._dataset.train_rows))
        return self._initial_features

    @together
    def _features(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Features (n, 512) of the dataset's rows on worker 0; on the others those of their part.

        Raises:
            DivergedError: One is not finite.
        """
        own = rows[self.team.part(len(rows))]
        features = np.empty((len(own), EMBEDDING_WIDTH), np.float32)
        for part, batch in self._forward(own):
            features[part] = batch.cpu().numpy()
        features = self.team.gather(features, len(rows))
        self._must_be_finite(bool(np.isfinite(features).all()), "predictions")
        return features

    @torch.inference_mode()
    def _forward(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[slice, Tensor]]:
        """Features (B, 512) in float32 of the dataset's rows, batch by batch."""
        self._network.eval()
        on_device = self._on_device(rows)
        for part in self._scoring_batches(len(rows)):
            batch = self._images.batch(on_device[part])
            with self.placement.autocast():
                features = self._network.features(batch)
            yield part, features.float()

    @torch.inference_mode()
    def _probs(self, embeddings: Floats) -> Floats:
        """Class probabilities (n, K) from features (n, 512)."""
        probs = np.empty((len(embeddings), self._dataset.num_classes), np.float32)
        for part in self._scoring_batches(len(embeddings)):
            probs[part] = self._logits(self._on_device(embeddings[part])).softmax(1).cpu().numpy()
        return probs

    def _logits(self, features: Tensor) -> Tensor:
        """Logits (B, K) in float32."""
        with self.placement.autocast():
            logits: Tensor = self._network.fc(features)
        return logits.float()

    def _scoring_batches(self, num_rows: int) -> Iterator[slice]:
        for begin in range(0, num_rows, self._scoring_batch):
            yield slice(begin, min(begin + self._scoring_batch, num_rows))

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
