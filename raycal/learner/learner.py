"""The implementations of the loop's `Learner` protocol by a neural network: a fine-tuner and a linear probe."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from raycal.algorithm.acquisition import HeadWeights
from raycal.algorithm.records import Evaluation, Fitted, Floats, Indices, Predictions, TrainingSet
from raycal.errors import InputError
from raycal.learner.augmentations import Augmentation
from raycal.learner.chance import chance_accuracy
from raycal.learner.device import one_thread
from raycal.learner.feature_extractor import FeatureExtractor
from raycal.learner.feature_model import FeatureModel
from raycal.learner.losses import Loss, cross_entropy
from raycal.learner.network import seeded_layers
from raycal.learner.optimizers import sgd
from raycal.learner.settings import TrainingSettings
from raycal.learner.team import Team, together
from raycal.learner.training import Epoch, Inputs, NewOptimizer, held_out, must_be_finite, train
from raycal.learner.weights import StateDict

logger = logging.getLogger(__name__)

# The number of multiply-adds in the forward pass of an optimizer step below which a network of vectors or texts is
# trained with one thread.
SMALL_STEP = 2**25


class NetworkLearner(ABC):
    """A registered network with a fresh head, trained on the annotated samples.

    Each of several workers has its own learner, which processes its part of every batch, of the pool and of the test
    split when the learner of worker 0 is called.

    Args:
        extractor: The network of this worker, which no other learner shares.
        loss: Makes the loss of a training from the number of its samples.
        optimizer: Makes the optimizer of a training.
        augmentations: Change the images that the network is trained on, one after another.
        team: The workers of this trial. None means that there is only this worker.
        features: The separate feature model of this worker. None means that the network's own embeddings are the
            features, too.

    Attributes:
        device_settings: The device, and whether the network is compiled.
        weights_digest: The digest of the weights that the backbone starts from; None if the weights were drawn at
            random.
        features: The separate feature model; None if there is none.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        training: TrainingSettings,
        *,
        loss: Callable[[int], Loss] = cross_entropy,
        optimizer: NewOptimizer = sgd,
        augmentations: Sequence[Augmentation] = (),
        team: Team | None = None,
        features: FeatureModel | None = None,
    ) -> None:
        self.features = features
        self.team = team or Team.alone()
        self.extractor, self._dataset, self._training, self._new_loss = extractor, extractor.dataset, training, loss
        self._new_optimizer, self._augmentations = optimizer, augmentations
        extractor.compile(self._network_batch(), alone=self.team.size == 1)
        if self.team.size == 1 and not augmentations and not training.horizontal_flip:
            extractor.skip_frozen_layers()
        self.device_settings, self.weights_digest = extractor.device_settings, extractor.weights_digest

    @together
    def reset(self, rng: np.random.Generator) -> None:
        """Alg. 1, line 3: restore the initial weights and draw the head from `rng` as torch draws a linear layer."""
        self.extractor.reset(rng)

    def fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        """Alg. 1, line 15: train by gradient descent, in a new order every epoch; an empty training set changes
        nothing.

        Raises:
            DivergedError: The loss is not finite.
        """
        if not len(training_set.indices):
            logger.warning("nothing is annotated yet: the model stays untrained")
            return Fitted(steps=0)
        return self._fit(training_set, rng)

    def predict(self, indices: Indices) -> Predictions:
        """Class probabilities (n, K) and embeddings (n, D) of samples of the pool; call it on worker 0 only.

        Each sample passes through the network once. Before any training, the embeddings of the whole pool are computed
        instead, once for all calls. A separate feature model embeds the whole pool once for all trials on the node.

        Raises:
            DivergedError: A prediction is not finite.
        """
        embeddings = self._pool_embeddings(indices)
        probs = self.extractor.probs(embeddings)
        must_be_finite(bool(np.isfinite(probs).all()), "predictions", self._training)
        separate = None if self.features is None else self._pool_features[indices]
        return Predictions(indices=indices, probs=probs, embeddings=embeddings, separate=separate)

    def head(self) -> HeadWeights:
        """A copy of the last layer's weights and bias; they are the same on every worker."""
        weights, bias = (value.detach().cpu().numpy().copy() for value in self.extractor.head.parameters())
        return HeadWeights(weights=weights, bias=bias)

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split.

        Raises:
            DivergedError: The loss is not finite.
        """

    def classify(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The class that the model predicts for each of the dataset's rows; call it on worker 0 only.

        Raises:
            DivergedError: An embedding is not finite.
        """
        classes: npt.NDArray[np.int64] = self.extractor.probs(self._test_split_embeddings(rows)).argmax(axis=1)
        return classes

    def save(self) -> bytes:
        """The current weights as bytes, for `load`."""
        return self.extractor.save()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of the current weights, by their names in the state dict of the network."""
        return self.extractor.arrays()

    @together
    def load(self, saved: bytes) -> None:
        """Restore the weights of an earlier `save`.

        Raises:
            InputError: The bytes are not the weights of this network.
        """
        self.extractor.load(saved)

    @abstractmethod
    def _network_batch(self) -> int | None:
        """The number of samples in a full training batch that pass through this worker's network; None if no samples
        do.
        """

    @abstractmethod
    def _fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        """Train on a training set that is not empty."""

    @abstractmethod
    def _pool_embeddings(self, indices: Indices) -> Floats:
        """Embeddings (n, D) of samples of the pool from the current backbone."""

    @abstractmethod
    def _test_split_embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Embeddings (n, D) of rows outside of the pool from the current backbone."""

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
        whole = Inputs(inputs, labels, self._weights(training_set))
        with one_thread(wanted=self._is_small(network)):
            return train(
                network,
                whole,
                loss,
                self._training,
                rng,
                self.device_settings,
                team,
                validate,
                new_optimizer=self._new_optimizer,
                augmentations=self._augmentations,
            )

    def _weights(self, training_set: TrainingSet) -> Floats | None:
        """The weight of each sample's loss: the weight of its label times the weight that the dataset gives to the
        sample.
        """
        of_samples = self._dataset.weights
        if of_samples is None:
            return training_set.weights
        own = of_samples[self._dataset.train_rows[training_set.indices]]
        return own if training_set.weights is None else own * training_set.weights

    def _monitored(self, right: float, loss: float, num_samples: int) -> float:
        """The value that decides whether a training has converged: the mean loss, or the share of wrong predictions."""
        return loss / num_samples if self._training.monitor == "loss" else 1 - right / num_samples

    def _is_small(self, network: nn.Module) -> bool:
        """Whether an optimizer step is too short for several threads. Networks of images are never counted as small,
        because their results depend on the number of threads."""
        weights = sum(parameter.numel() for parameter in network.parameters())
        return self._dataset.kind != "images" and weights * self._training.batch_size < SMALL_STEP

    def _evaluation(self, right: float, loss: float) -> Evaluation:
        must_be_finite(isfinite(loss), "test loss", self._training)
        num_test = self._dataset.num_test
        if not num_test:
            raise InputError("the test split has no labeled sample, so the accuracy cannot be measured")
        chance = chance_accuracy(self._dataset.test_labels, self._dataset.num_classes)
        return Evaluation(accuracy=right / num_test, loss=loss / num_test, chance=chance)

    @cached_property
    def _initial_pool_embeddings(self) -> Floats:
        """Embeddings (P, D) of the whole pool from the initial backbone."""
        return self._initial_embeddings("pool", self._dataset.train_rows)

    @cached_property
    def _pool_features(self) -> Floats:
        """Embeddings (P, F) of the whole pool by the separate feature model."""
        assert self.features is not None
        rows = self._dataset.train_rows
        embeddings = self.features.extractor.initial_embeddings(
            "pool", rows, workers=self.team.size, compute=lambda: self._gathered_features(rows)
        )
        self._release_features()
        return embeddings

    @together
    def _gathered_features(self, rows: npt.NDArray[np.int64]) -> Floats:
        """The same as `_gathered_embeddings`, but computed by the separate feature model."""
        assert self.features is not None
        shard = self.features.extractor.embeddings(rows[self.team.shard(len(rows))])
        embeddings = self.team.gather(shard, len(rows))
        must_be_finite(bool(np.isfinite(embeddings).all()), "features", self._training)
        return embeddings

    @together
    def _release_features(self) -> None:
        assert self.features is not None
        self.features.release()

    def _initial_embeddings(self, what: str, rows: npt.NDArray[np.int64]) -> Floats:
        return self.extractor.initial_embeddings(
            what, rows, workers=self.team.size, compute=lambda: self._gathered_embeddings(rows)
        )

    @together
    def _gathered_embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Embeddings (n, D) of the dataset's rows on worker 0; each other worker returns the embeddings of its own
        part.

        Raises:
            DivergedError: A value of an embedding is not finite.
        """
        shard = self.extractor.embeddings(rows[self.team.shard(len(rows))])
        embeddings = self.team.gather(shard, len(rows))
        must_be_finite(bool(np.isfinite(embeddings).all()), "predictions", self._training)
        return embeddings


class FineTuner(NetworkLearner):
    """Trains the whole network; all workers train together.

    The batch size is that of all workers together. Batch normalization uses the statistics of a worker's own part, and
    after a training every worker takes the running statistics of worker 0.
    """

    def _network_batch(self) -> int:
        return len(range(self._training.batch_size)[self.team.shard(self._training.batch_size)])

    @together
    def _fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        extractor, rows_of_pool = self.extractor, self._dataset.train_rows
        extractor.has_initial_backbone = False
        training_set, validation = _split(training_set, held_out(len(training_set.indices), self._training, rng))
        rows = rows_of_pool[training_set.indices]
        network = self.team.ddp(extractor.running).train()

        def samples(epoch: Epoch) -> Iterator[Tensor]:
            return extractor.inputs.batches(rows[epoch.positions], epoch.parts, epoch.augment)

        def validate() -> float:
            shard = self.team.shard(len(validation.indices))
            scored = extractor.score(rows_of_pool[validation.indices[shard]], validation.labels[shard])
            extractor.running.train()
            right, loss = self.team.broadcast(self.team.all_reduce(*scored))
            return self._monitored(right, loss, len(validation.indices))

        with seeded_layers(extractor.network, rng, self.device_settings.device, self.team.rank):
            fitted = self._train(
                network, samples, training_set, rng, self.team, validate if len(validation.indices) else None
            )
        if self.team.size > 1:
            statistics = {name: value.cpu() for name, value in extractor.network.named_buffers()}
            extractor.network.load_state_dict(self.team.broadcast(statistics), strict=False)
        return fitted

    def _pool_embeddings(self, indices: Indices) -> Floats:
        if self.extractor.has_initial_backbone:
            return self._initial_pool_embeddings[indices]
        return self._gathered_embeddings(self._dataset.train_rows[indices])

    def _test_split_embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        return self._gathered_embeddings(rows)

    @together
    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split; each worker scores its part."""
        shard = self.team.shard(self._dataset.num_test)
        scored = self.extractor.score(self._dataset.test_rows[shard], self._dataset.test_labels[shard])
        return self._evaluation(*self.team.all_reduce(*scored))


class LinearProbe(NetworkLearner):
    """Trains the head alone, on embeddings of the initial backbone that are computed once.

    All workers compute the embeddings; worker 0 trains the head for all of them and scores it.
    """

    def _network_batch(self) -> None:
        return None

    def _fit(self, training_set: TrainingSet, rng: np.random.Generator) -> Fitted:
        training_set, validation = _split(training_set, held_out(len(training_set.indices), self._training, rng))
        embeddings = self.device_settings.on_device(self._initial_pool_embeddings[training_set.indices])

        def of_samples(epoch: Epoch) -> Iterator[Tensor]:
            return (embeddings[epoch.on_device[part]] for part in epoch.parts)

        def validate() -> float:
            kept = self.device_settings.on_device(self._initial_pool_embeddings[validation.indices])
            return self._monitored(*self.extractor.score_embeddings(kept, validation.labels), len(kept))

        head = self.extractor.head
        fitted = self._train(
            head, of_samples, training_set, rng, Team.alone(), validate if len(validation.indices) else None
        )
        self._take_head({name: value.cpu() for name, value in head.state_dict().items()})
        return fitted

    @together
    def _take_head(self, head: StateDict) -> None:
        self.extractor.head.load_state_dict(head)

    def _pool_embeddings(self, indices: Indices) -> Floats:
        return self._initial_pool_embeddings[indices]

    def _test_split_embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        return self._initial_embeddings("test split", rows)

    def evaluate(self) -> Evaluation:
        """Alg. 1, line 16: accuracy and mean cross-entropy on the test split, from its embeddings."""
        return self._evaluation(*self.extractor.score_embeddings(self._test_embeddings, self._dataset.test_labels))

    @cached_property
    def _test_embeddings(self) -> Tensor:
        """Embeddings (Q, D) of the test split from the initial backbone, on the device."""
        return self.device_settings.on_device(self._initial_embeddings("test split", self._dataset.test_rows).copy())


def _split(whole: TrainingSet, held: Indices) -> tuple[TrainingSet, TrainingSet]:
    """Split a training set into the samples to train on and the held-out samples. `held` has the positions of the
    held-out samples.
    """
    rest = np.setdiff1d(np.arange(len(whole.indices)), held)

    def only(positions: Indices) -> TrainingSet:
        weights = None if whole.weights is None else whole.weights[positions]
        return TrainingSet(indices=whole.indices[positions], labels=whole.labels[positions], weights=weights)

    return (only(rest), only(held)) if len(held) else (whole, only(held))
