"""The implementation of the loop's `Learner` protocol by a neural network."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from raycal.algorithm.acquisition import HeadWeights
from raycal.algorithm.records import Evaluation, Fitted, Floats, Indices, Labels, Predictions, TrainingSet
from raycal.data import ImageDataset
from raycal.errors import InputError
from raycal.learner.chance import chance_accuracy
from raycal.learner.compiled import BatchSizes, compiled
from raycal.learner.device import DeviceSettings
from raycal.learner.feature_cache import backbone_digest, cached_features, images_digest
from raycal.learner.images import DeviceImages
from raycal.learner.losses import Loss, cross_entropy
from raycal.learner.network import features_of, head_of, new_network, seeded_layers
from raycal.learner.settings import TrainingSettings
from raycal.learner.team import Team, together
from raycal.learner.training import Epoch, Inputs, held_out, must_be_finite, train
from raycal.learner.weights import StateDict, bomb_in, weights_digest
from raycal.networks import networks

logger = logging.getLogger(__name__)

# Pixels of one scoring batch, to bound the memory of the first feature maps (about 0.6 GB on a CPU in float32).
SCORING_PIXELS = {"cpu": 2**20, "cuda": 2**24}
# Bytes of features or probabilities buffered on the device between copies to the host.
HELD_BYTES = 2**27


class NetworkLearner:
    """A registered network with a fresh head, trained on the annotated samples.

    Each of several workers has its own learner, which processes its part of every batch, of the pool and of the test
    split when the learner of worker 0 is called. The batch size is that of all workers together. Batch normalization
    uses the statistics of a worker's own part, and after a training every worker takes the running statistics of
    worker 0.

    Args:
        network: The name of the network in the registry.
        network_options: The options of the network.
        network_source: Tells apart networks of one name whose code differs, such as those of a changed plug-in; the
            features that are kept on disk depend on it.
        frozen: Whether only the head is trained, on features that are computed once. Worker 0 trains it for all
            workers.
        weights: The weights of the backbone (see `load_weights`); None: drawn from `rng`, the same for every iteration.
        rng: Draws the backbone when there are no weights.
        loss: Makes the loss of a training from its number of samples.
        team: The workers of this trial; None: this worker alone.

    Attributes:
        weights_digest: The digest of `weights`; None if the backbone was drawn.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        training: TrainingSettings,
        *,
        network: str = "resnet18",
        network_options: Mapping[str, Any] | None = None,
        network_source: str = "",
        frozen: bool = False,
        weights: StateDict | None,
        rng: np.random.Generator,
        loss: Callable[[int], Loss] = cross_entropy,
        device_settings: DeviceSettings | None = None,
        team: Team | None = None,
    ) -> None:
        self.device_settings = device_settings or DeviceSettings.choose(training.dtype)
        self.team = team or Team.alone()
        self._dataset, self._training, self._frozen, self._new_loss = dataset, training, frozen, loss
        facts = networks.facts(network)
        self._images = DeviceImages(
            dataset.images, training.image_size, self.device_settings, mean=facts.mean, std=facts.std
        )
        self._chance = chance_accuracy(dataset.test_labels, dataset.num_classes)
        self._scoring_batch = max(16, SCORING_PIXELS[self.device_settings.device.type] // training.image_size**2)
        self._network_source = network_source
        made = new_network(network, dataset.num_classes, rng, network_options)
        self._network = made.to(self.device_settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head_prefix, self._head = head_of(self._network)
        self.weights_digest = None if weights is None else weights_digest(weights)
        if weights is not None:
            self._network.load_state_dict(weights, strict=False)
        self._initial = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._running = self._compiled() if self.device_settings.compiled else self._network
        self.device_settings = replace(self.device_settings, compiled=self._running is not self._network)
        self._has_initial_backbone = True
        self._initial_features: Floats | None = None
        self._test_features: Tensor | None = None

    def _compiled(self) -> nn.Module:
        """The network, compiled for this worker's part of a full training batch and for a full scoring batch."""
        own = self.team.shard(self._training.batch_size)
        sizes = BatchSizes(None if self._frozen else own.stop - own.start, self._scoring_batch)
        alone = self.team.size == 1
        return compiled(self._network, self._head, sizes, self._training.image_size, self.device_settings, alone=alone)

    @together
    def reset(self, rng: np.random.Generator) -> None:
        """Alg. 1, line 3: restore the initial weights and draw the head from `rng` as torch draws a linear layer."""
        bound = self._head.in_features**-0.5
        head = {
            name: torch.from_numpy(rng.uniform(-bound, bound, tuple(self._initial[name].shape)).astype(np.float32))
            for name in (f"{self._head_prefix}weight", f"{self._head_prefix}bias")
        }
        self._network.load_state_dict(self._initial | head)
        self._has_initial_backbone = True

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        """Alg. 1, line 15: train by SGD over the samples, in a new order every epoch; an empty set changes nothing.

        Raises:
            DivergedError: The loss is not finite.
        """
        if not len(training_set.indices):
            logger.warning("nothing is annotated yet: the model stays untrained")
            return Fitted(steps=0)
        return self._fit_head(training_set, rng) if self._frozen else self._fit(training_set, rng)

    @together
    def _fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        self._has_initial_backbone = False
        training_set, validation = _split(training_set, held_out(len(training_set.indices), self._training, rng))
        rows = self._dataset.train_rows[training_set.indices]
        network = self.team.ddp(self._running).train()

        def images(epoch: Epoch) -> Iterator[Tensor]:
            return self._images.batches(rows[epoch.positions], epoch.parts, epoch.flip)

        def validate() -> float:
            own = self.team.shard(len(validation.indices))
            parts = self._forward(self._dataset.train_rows[validation.indices[own]])
            _, loss = self._right_and_loss(parts, validation.labels[own])
            self._running.train()
            (total,) = self.team.broadcast(self.team.all_reduce(loss))
            return float(total / len(validation.indices))

        with seeded_layers(self._network, rng, self.device_settings.device, self.team.rank):
            fitted = self._train(
                network, images, training_set, rng, self.team, validate if len(validation.indices) else None
            )
        self._take_statistics_of_worker_0()
        return fitted

    def _fit_head(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        training_set, validation = _split(training_set, held_out(len(training_set.indices), self._training, rng))
        features = self.device_settings.on_device(self._features_before_training()[training_set.indices])

        def of_images(epoch: Epoch) -> Iterator[Tensor]:
            return (features[epoch.on_device[part]] for part in epoch.parts)

        def validate() -> float:
            kept = self.device_settings.on_device(self._features_before_training()[validation.indices])
            parts = ((part, kept[part]) for part in self._scoring_batches(len(kept)))
            return self._right_and_loss(parts, validation.labels)[1] / len(kept)

        fitted = self._train(
            self._head, of_images, training_set, rng, Team.alone(), validate if len(validation.indices) else None
        )
        self._take_head({name: value.cpu() for name, value in self._head.state_dict().items()})
        return fitted

    @together
    def _take_head(self, head: StateDict) -> None:
        self._head.load_state_dict(head)

    def _train(
        self,
        network: nn.Module,
        inputs: Callable[[Epoch], Iterator[Tensor]],
        training_set: TrainingSet,
        rng: np.random.Generator,
        team: Team,
        validate: Callable[[], float] | None,
    ) -> Fitted:
        labels, loss = self.device_settings.on_device(training_set.labels), self._new_loss(len(training_set.indices))
        whole = Inputs(inputs, labels, training_set.weights)
        return train(network, whole, loss, self._training, rng, self.device_settings, team, validate)

    def predict(self, indices: Indices) -> Predictions:
        """Class probabilities (n, K) and average-pool features (n, D) of samples of the pool; call it on worker 0 only.

        Each image passes through the network once. Before any training, the features of the whole pool are computed
        instead, once for all calls.

        Raises:
            DivergedError: A prediction is not finite.
        """
        if self._has_initial_backbone:
            embeddings = self._features_before_training()[indices]
        else:
            embeddings = self._features(self._dataset.train_rows[indices])
        probs = self._probs(embeddings)
        must_be_finite(bool(np.isfinite(probs).all()), "predictions", self._training)
        return Predictions(indices=indices, probs=probs, embeddings=embeddings)

    def head(self) -> HeadWeights:
        """A copy of the last layer's weights and bias; they are the same on every worker."""
        weights, bias = (value.detach().cpu().numpy().copy() for value in self._head.parameters())
        return HeadWeights(weights=weights, bias=bias)

    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split.

        Raises:
            DivergedError: The loss is not finite.
        """
        if not self._frozen:
            return self._evaluate()
        if self._test_features is None:
            kept = self._kept_features("test split", self._dataset.test_rows)
            self._test_features = self.device_settings.on_device(kept.copy())
        features = self._test_features
        parts = ((part, features[part]) for part in self._scoring_batches(len(features)))
        return self._evaluation(*self._right_and_loss(parts, self._dataset.test_labels))

    @together
    def _evaluate(self) -> Evaluation:
        own = self.team.shard(self._dataset.num_test)
        parts = self._forward(self._dataset.test_rows[own])
        return self._evaluation(*self.team.all_reduce(*self._right_and_loss(parts, self._dataset.test_labels[own])))

    @torch.inference_mode()
    def _right_and_loss(self, parts: Iterable[tuple[slice, Tensor]], labels: Labels) -> tuple[float, float]:
        """The number of right predictions and the sum of the cross-entropy for features that come part by part."""
        on_device = self.device_settings.on_device(labels)
        right = torch.zeros((), dtype=torch.int64, device=self.device_settings.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.device_settings.device)
        for part, features in parts:
            logits = self._logits(features)
            right += (logits.argmax(1) == on_device[part]).sum()
            loss += functional.cross_entropy(logits, on_device[part], reduction="sum")
        return right.item(), loss.item()

    def _evaluation(self, right: float, loss: float) -> Evaluation:
        must_be_finite(isfinite(loss), "test loss", self._training)
        num_test = self._dataset.num_test
        return Evaluation(accuracy=right / num_test, loss=loss / num_test, chance=self._chance)

    def save(self) -> bytes:
        """The current weights as bytes, for `load`."""
        buffer = io.BytesIO()
        torch.save(self._network.state_dict(), buffer)
        return buffer.getvalue()

    @together
    def load(self, saved: bytes) -> None:
        """Restore the weights of an earlier `save`.

        Raises:
            InputError: The bytes are not the weights of this network.
        """
        try:
            if bomb := bomb_in(io.BytesIO(saved)):
                raise ValueError(bomb)
            self._network.load_state_dict(torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True))
        except Exception as error:  # bytes that are no state dict fail in many ways
            raise InputError("state: the model is not one that raycal saved; move the folder away") from error
        self._has_initial_backbone = self._frozen

    def _take_statistics_of_worker_0(self) -> None:
        if self.team.size > 1:
            own = {name: value.cpu() for name, value in self._network.named_buffers()}
            self._network.load_state_dict(self.team.broadcast(own), strict=False)

    def _features_before_training(self) -> Floats:
        """Features (P, D) of the whole pool from the initial backbone."""
        if self._initial_features is None:
            self._initial_features = self._kept_features("pool", self._dataset.train_rows)
        return self._initial_features

    def _kept_features(self, what: str, rows: npt.NDArray[np.int64]) -> Floats:
        """Features (n, D) of the dataset's rows from the initial backbone, computed once for all trials on the node."""
        key = {
            "content": f"features of the {what} before training",
            "images": images_digest(self._dataset, rows),
            "backbone": backbone_digest(self._initial, self._head_prefix),
            "image_size": self._training.image_size,
            "scoring_batch": self._scoring_batch,
            "workers": self.team.size,
            "hardware": self.device_settings.hardware(),
            **self.device_settings.describe(),
        }
        if self._network_source:
            key["network"] = self._network_source
        return cached_features(key, lambda: self._features(rows))

    @together
    def _features(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Features (n, D) of the dataset's rows on worker 0; the other workers return those of their own part.

        Raises:
            DivergedError: A feature is not finite.
        """
        own = rows[self.team.shard(len(rows))]
        on_host = torch.empty(len(own), self._head.in_features)
        for held in self._held(len(own)):
            on_device = torch.empty_like(on_host[held], device=self.device_settings.device)
            for part, batch in self._forward(own[held]):
                on_device[part] = batch
            on_host[held] = on_device
        features = self.team.gather(on_host.numpy(), len(rows))
        must_be_finite(bool(np.isfinite(features).all()), "predictions", self._training)
        return features

    @torch.inference_mode()
    def _forward(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[slice, Tensor]]:
        """Features (B, D) of the dataset's rows in float32, batch by batch."""
        self._running.eval()
        parts = list(self._scoring_batches(len(rows)))
        for part, batch in zip(parts, self._images.batches(rows, parts), strict=True):
            with self.device_settings.autocast():
                features = features_of(self._running, self._head, batch)
            yield part, features.float()

    @torch.inference_mode()
    def _probs(self, embeddings: Floats) -> Floats:
        """Class probabilities (n, K) from features (n, D)."""
        on_host = torch.empty(len(embeddings), self._dataset.num_classes)
        for held in self._held(len(embeddings)):
            features = self.device_settings.on_device(embeddings[held])
            parts = [self._logits(features[part]).softmax(1) for part in self._scoring_batches(len(features))]
            on_host[held] = torch.cat(parts)
        probs: Floats = on_host.numpy()
        return probs

    def _logits(self, features: Tensor) -> Tensor:
        """Logits (B, K) in float32."""
        with self.device_settings.autocast():
            logits: Tensor = self._head(features)
        return logits.float()

    def _scoring_batches(self, num_rows: int) -> Iterator[slice]:
        return _parts(num_rows, self._scoring_batch)

    def _held(self, num_rows: int) -> Iterator[slice]:
        """Slices of the rows whose results the device buffers together; each but the last is whole scoring batches."""
        row_bytes = 4 * max(self._head.in_features, self._head.out_features)
        return _parts(num_rows, self._scoring_batch * max(1, HELD_BYTES // (row_bytes * self._scoring_batch)))


def _split(whole: TrainingSet, held: Indices) -> tuple[TrainingSet, TrainingSet]:
    """Split a training set into the samples to train on and those held out, whose positions are `held`."""
    rest = np.setdiff1d(np.arange(len(whole.indices)), held)

    def only(positions: Indices) -> TrainingSet:
        weights = None if whole.weights is None else whole.weights[positions]
        return TrainingSet(indices=whole.indices[positions], labels=whole.labels[positions], weights=weights)

    return (only(rest), only(held)) if len(held) else (whole, only(held))


def _parts(num_rows: int, size: int) -> Iterator[slice]:
    for begin in range(0, num_rows, size):
        yield slice(begin, min(begin + size, num_rows))
