"""A network on one device, which turns samples into embeddings and embeddings into predictions."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from raycal.algorithm.records import Floats, Labels
from raycal.data import ImageDataset, LoadedDataset, TextDataset, VectorDataset
from raycal.errors import InputError
from raycal.learner.activations import DeviceActivations, kept_activations
from raycal.learner.behind import BehindFrozen
from raycal.learner.compiled import BatchSizes, compiled
from raycal.learner.device import DeviceSettings
from raycal.learner.embedding_cache import backbone_digest, cached_embeddings
from raycal.learner.frozen_layers import freeze_up_to
from raycal.learner.images import DeviceImages
from raycal.learner.inputs import DeviceInputs, DeviceVectors
from raycal.learner.network import embeddings_of, head_of, new_network
from raycal.learner.texts import DeviceTexts
from raycal.learner.tokens import Tokenizer, tokens_of
from raycal.learner.weights import StateDict, bomb_in, weights_digest
from raycal.networks import NetworkFacts, networks

# The largest number of pixels in one scoring batch, to bound the memory of the first feature maps (about 0.6 GB on a
# CPU in float32). For vectors, it is the largest number of values.
SCORING_PIXELS = {"cpu": 2**20, "cuda": 2**24}
# Bytes of embeddings or probabilities buffered on the device between copies to the host.
HELD_BYTES = 2**27


class FeatureExtractor:
    """A network in two parts: the backbone computes embeddings of samples, the head computes logits from embeddings.

    A feature extractor knows nothing of other workers. It processes the rows that it is given.

    Args:
        image_size: The side, in pixels, of the square images that a network of images sees.
        network: The name of the network in the registry.
        network_options: The options of the network.
        network_source: A text that differs between networks of one name with different code, such as before and after a
            change of a plug-in. It is part of the key of the embeddings that are kept on disk.
        weights: The weights of the backbone (see `load_weights`). None means that the weights are drawn from `rng`.
        rng: Draws the weights of the backbone if `weights` is None.
        frozen_up_to: The last layer that keeps its initial weights in training (see `freeze_up_to`). None means that
            all layers are trained.

    Attributes:
        dataset: The dataset whose samples the network sees.
        inputs: The samples in the network's input format.
        device_settings: The device, and whether the network is compiled.
        weights_digest: The digest of `weights`; None if the backbone was drawn.
        network: The network.
        head: The last layer of the network.
        scoring_batch: The number of samples that are scored at a time.
        running: The network as it runs on samples, compiled or not.
        has_initial_backbone: Whether the backbone certainly has its initial weights. The code that trains the backbone
            sets this attribute to False.
    """

    def __init__(
        self,
        dataset: LoadedDataset,
        image_size: int,
        *,
        network: str = "resnet18",
        network_options: Mapping[str, Any] | None = None,
        network_source: str = "",
        weights: StateDict | None,
        rng: np.random.Generator,
        device_settings: DeviceSettings,
        frozen_up_to: str | None = None,
    ) -> None:
        self.dataset, self.device_settings, self._frozen_up_to = dataset, device_settings, frozen_up_to
        self._image_size, self._network_source = image_size, network_source
        self._facts = networks.facts(network)
        _refuse_other_kind(self._facts, dataset)
        num_features = dataset.vectors.shape[1] if isinstance(dataset, VectorDataset) else None
        made = new_network(
            network, dataset.num_classes, rng, network_options, num_features=num_features, image_size=image_size
        )
        if frozen_up_to is not None:
            freeze_up_to(made, frozen_up_to)
        self.inputs = inputs_of(dataset, image_size, self._facts, device_settings, made)
        self.scoring_batch = max(16, SCORING_PIXELS[device_settings.device.type] // self.inputs.elements)
        self.network = made.to(device_settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head_prefix, self.head = head_of(self.network)
        self.weights_digest = None if weights is None else weights_digest(weights)
        if weights is not None:
            self.network.load_state_dict(weights, strict=False)
        self._initial = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.running: nn.Module = self.network
        self.has_initial_backbone = True

    def compile(self, training_batch: int | None, *, alone: bool) -> None:
        """Compile the network, if the device settings say so, for full batches of training and of scoring.

        Args:
            training_batch: The number of samples in this worker's part of a full training batch. None if the network
                itself is not trained.
            alone: True if this worker does not exchange gradients with other workers.
        """
        if not self.device_settings.compiled:
            return
        if not self.inputs.has_one_shape:
            self.device_settings = replace(self.device_settings, compiled=False)
            return
        sizes = BatchSizes(training_batch, self.scoring_batch)
        self.running = compiled(self.network, self.head, sizes, self.inputs, self.device_settings, alone=alone)
        self.device_settings = replace(self.device_settings, compiled=self.running is not self.network)

    def skip_frozen_layers(self) -> bool:
        """Compute the activations of the frozen layers once, and run only the layers behind them from now on.

        Returns:
            Whether this is possible. The images must not be augmented afterwards.
        """
        layer = self._frozen_up_to
        if layer is None or self.device_settings.compiled or self.dataset.kind != "images":
            return False
        behind, images = BehindFrozen(self.network, layer), self.inputs
        rows = np.arange(len(self.dataset.labels))

        def activations(begin: int) -> Tensor:
            part = slice(begin, min(begin + self.scoring_batch, len(rows)))
            (batch,) = images.batches(rows[part], [slice(0, part.stop - part.start)])
            self.network.eval()
            with self.device_settings.autocast():
                return behind.activations(batch)

        with self.device_settings.autocast():
            (first,) = images.batches(rows[: self.scoring_batch], [slice(0, min(self.scoring_batch, len(rows)))])
            if not behind.is_exact(first):
                return False
        key = {**self._key_of(rows), "layer": layer}
        stored = kept_activations(key, len(rows), activations(0)[:1], activations, self.scoring_batch)
        if stored is None:
            return False
        self.inputs, self.running = DeviceActivations(stored, images.elements, self.device_settings), behind
        return True

    def reset(self, rng: np.random.Generator) -> None:
        """Restore the initial weights and draw the head from `rng` as torch draws a linear layer."""
        bound = self.head.in_features**-0.5
        head = {
            name: torch.from_numpy(rng.uniform(-bound, bound, tuple(self._initial[name].shape)).astype(np.float32))
            for name in (f"{self._head_prefix}weight", f"{self._head_prefix}bias")
        }
        self.head.resize(self.dataset.num_classes)
        self.network.load_state_dict(self._initial | head)
        self.has_initial_backbone = True

    def save(self) -> bytes:
        """The current weights as bytes, for `load`."""
        buffer = io.BytesIO()
        torch.save(self.network.state_dict(), buffer)
        return buffer.getvalue()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """A copy of the current weights on the host, by their names in the state dict of the network."""
        state = self.network.state_dict()
        return {name: np.ascontiguousarray(value.detach().cpu().numpy()) for name, value in state.items()}

    def load(self, saved: bytes) -> None:
        """Restore the weights of an earlier `save`.

        The head gets as many logits as it had when it was saved. If people have added classes since then, the next
        `reset` adds logits for them.

        Raises:
            InputError: The bytes are not the weights of this network.
        """
        try:
            if bomb := bomb_in(io.BytesIO(saved)):
                raise ValueError(bomb)
            weights = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
            num_logits, in_features = weights[f"{self._head_prefix}weight"].shape
            if in_features != self.head.in_features:
                raise ValueError("the head has other inputs")
            self.head.resize(num_logits)
            self.network.load_state_dict(weights)
        except Exception as error:  # bytes that are not a state dict can fail in many ways
            raise InputError("state: the model is not one that raycal saved; move the folder away") from error
        self.has_initial_backbone = False

    def embeddings(self, rows: npt.NDArray[np.int64]) -> Floats:
        """Embeddings (n, D) of the dataset's rows."""
        on_host = torch.empty(len(rows), self.head.in_features)
        for held in self._held(len(rows)):
            on_device = torch.empty_like(on_host[held], device=self.device_settings.device)
            for part, batch in self._forward(rows[held]):
                on_device[part] = batch
            on_host[held] = on_device
        embeddings: Floats = on_host.numpy()
        return embeddings

    def initial_embeddings(
        self, what: str, rows: npt.NDArray[np.int64], *, workers: int, compute: Callable[[], Floats]
    ) -> Floats:
        """Embeddings (n, D) of the dataset's rows from the initial backbone, computed once for all trials on the node.

        Args:
            what: A name for these rows, such as the name of a split.
            workers: The number of workers that compute the embeddings together, on which their last bits depend.
            compute: Computes the embeddings, unless another trial has done so.
        """
        key = {
            "content": f"features of the {what} before training",
            "workers": workers,
            **self._key_of(rows),
        }
        return cached_embeddings(key, compute)

    def _key_of(self, rows: npt.NDArray[np.int64]) -> dict[str, object]:
        """The values on which the bits of anything depend that the initial network computes from some rows."""
        key = {
            "images": self.dataset.digest_of_rows(rows),
            "backbone": backbone_digest(self._initial, self._head_prefix),
            "image_size": self._image_size,
            "scoring_batch": self.scoring_batch,
            "hardware": self.device_settings.hardware(),
            **self.device_settings.describe(),
        }
        return key | ({"network": self._network_source} if self._network_source else {})

    @torch.inference_mode()
    def probs(self, embeddings: Floats) -> Floats:
        """Class probabilities (n, K) from embeddings (n, D)."""
        on_host = torch.empty(len(embeddings), self.head.out_features)
        for held in self._held(len(embeddings)):
            on_device = self.device_settings.on_device(embeddings[held])
            parts = [self._logits(on_device[part]).softmax(1) for part in self._scoring_batches(len(on_device))]
            on_host[held] = torch.cat(parts)
        probs: Floats = on_host.numpy()
        return probs

    @torch.inference_mode()
    def probs_of(self, others: LoadedDataset) -> Floats:
        """Class probabilities (n, K) of n samples of another dataset. The splits and labels of that dataset are not
        used.

        Raises:
            InputError: The samples are of another kind than the network takes, or are vectors of another length.
        """
        if isinstance(self.dataset, VectorDataset) and others.shape != self.dataset.shape:
            raise InputError(f"vectors of {self.dataset.shape[0]} values are needed, not of {others.shape[0]}")
        inputs = inputs_of(others, self._image_size, self._facts, self.device_settings, self.network)
        rows, probs = np.arange(len(others.labels)), [np.empty((0, self.head.out_features), np.float32)]
        self.network.eval()
        for batch in inputs.batches(rows, inputs.scoring_parts(rows, self.scoring_batch)):
            with self.device_settings.autocast():
                logits = self.network(batch)
            probs.append(logits.float().softmax(1).cpu().numpy())
        return np.concatenate(probs)

    def score(self, rows: npt.NDArray[np.int64], labels: Labels) -> tuple[int, float]:
        """The number of right predictions and the sum of the cross-entropy for the dataset's rows."""
        return self._score(self._forward(rows), labels)

    def score_embeddings(self, embeddings: Tensor, labels: Labels) -> tuple[int, float]:
        """The number of right predictions and the sum of the cross-entropy for embeddings (n, D) on the device."""
        return self._score(((part, embeddings[part]) for part in self._scoring_batches(len(embeddings))), labels)

    @torch.inference_mode()
    def _score(self, parts: Iterable[tuple[slice | Tensor, Tensor]], labels: Labels) -> tuple[int, float]:
        on_device = self.device_settings.on_device(labels)
        right = torch.zeros((), dtype=torch.int64, device=self.device_settings.device)
        loss = torch.zeros((), dtype=torch.float64, device=self.device_settings.device)
        for part, embeddings in parts:
            logits = self._logits(embeddings)
            right += (logits.argmax(1) == on_device[part]).sum()
            loss += functional.cross_entropy(logits, on_device[part], reduction="sum")
        return int(right.item()), loss.item()

    @torch.inference_mode()
    def _forward(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[slice | Tensor, Tensor]]:
        """Embeddings (B, D) of the dataset's rows in float32, batch by batch, each with the positions of its rows."""
        self.running.eval()
        order = self.inputs.scoring_order(rows)
        ordered = rows if order is None else rows[order]
        parts = self.inputs.scoring_parts(ordered, self.scoring_batch)
        for part, batch in zip(parts, self.inputs.batches(ordered, parts), strict=True):
            with self.device_settings.autocast():
                embeddings = embeddings_of(self.running, self.head, batch)
            yield part if order is None else self.device_settings.on_device(order[part]), embeddings.float()

    def _logits(self, embeddings: Tensor) -> Tensor:
        """Logits (B, K) in float32."""
        with self.device_settings.autocast():
            logits: Tensor = self.head(embeddings)
        return logits.float()

    def _scoring_batches(self, num_rows: int) -> Iterator[slice]:
        return _parts(num_rows, self.scoring_batch)

    def _held(self, num_rows: int) -> Iterator[slice]:
        """Slices of the rows whose results the device buffers together; each slice but the last consists of whole
        scoring batches."""
        row_bytes = 4 * max(self.head.in_features, self.head.out_features)
        return _parts(num_rows, self.scoring_batch * max(1, HELD_BYTES // (row_bytes * self.scoring_batch)))


def _parts(num_rows: int, size: int) -> Iterator[slice]:
    for begin in range(0, num_rows, size):
        yield slice(begin, min(begin + size, num_rows))


def inputs_of(
    dataset: LoadedDataset,
    image_size: int,
    facts: NetworkFacts,
    device_settings: DeviceSettings,
    network: nn.Module | None = None,
) -> DeviceInputs:
    """The samples of a dataset in the input format of a network.

    Args:
        network: The network, which a dataset of texts needs, because it has the tokenizer as the attribute `tokenize`.

    Raises:
        InputError: The network takes samples of another kind.
    """
    _refuse_other_kind(facts, dataset)
    if isinstance(dataset, ImageDataset):
        return DeviceImages(
            dataset.images,
            image_size,
            device_settings,
            mean=facts.mean,
            std=facts.std,
            interpolation=facts.interpolation,
        )
    if isinstance(dataset, VectorDataset):
        return DeviceVectors(dataset.vectors, device_settings)
    assert isinstance(dataset, TextDataset)
    tokenize: Tokenizer = getattr(network, "tokenize")  # noqa: B009  # see NetworkFacts.input
    return DeviceTexts(tokens_of(dataset, tokenize), device_settings)


def _refuse_other_kind(facts: NetworkFacts, dataset: LoadedDataset) -> None:
    if facts.input != dataset.kind:
        raise InputError(f"the network takes {facts.input}, but the dataset has {dataset.kind}")
