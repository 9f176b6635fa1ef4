"""Provides the model of a finished iteration, whose file the run may have removed.

A run keeps the models of its newest iterations only until it finishes. If the model is still there, it is exported as
it is. Otherwise the model is trained again: Algorithm 1 resets the network before each training, so the model of the
last iteration depends only on the configuration, on random numbers that are derived from the seed, on the labels in the
ledger, and on the labels that people amended. It does not depend on the models before it. On a CPU with the same number
of threads this gives the same weights to the last bit. On a GPU a training does not give the same bits again, so the
trained model is kept in the cache folder, from which a second export takes it and writes the same bytes.

Two kinds of runs cannot be repeated exactly. Pseudo-labels are in no ledger, so a model that was trained with them is
trained again without them. A run of several workers sums its gradients in another order than this one process. In every
case the exported model is evaluated, so that the card of the data set reports the accuracy of the model that is
exported.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from raycal import __version__
from raycal.algorithm.pool import Pool, as_arrays
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Evaluation, Floats, Interaction, Labels, TrainingSet
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.loop_settings import loop_settings
from raycal.config.people import asks_people
from raycal.data import ImageDataset, LoadedDataset, TextDataset, VectorDataset
from raycal.data.cache import cached_arrays, evict
from raycal.errors import InputError
from raycal.experiment import build
from raycal.export.source import Source
from raycal.networks import networks
from raycal.people.answered import AnsweredByPeople
from raycal.registry import module_of
from raycal.storage.checkpoints import StateDir
from raycal.storage.run_dir import STATES

if TYPE_CHECKING:
    from raycal.learner.learner import NetworkLearner

logger = logging.getLogger(__name__)

CACHE_FOLDER, MAX_CACHE_BYTES = "models", 4 * 2**30
ENCODER = "encoder"
# The scripts that label new samples with the exported model, by the module of the network.
SCRIPTS = {
    "raycal.networks.from_torchvision": "predict.txt",
    "raycal.networks.for_vectors": "predict_vectors.txt",
    "raycal.networks.sentences": "predict_texts.txt",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportedModel:
    """The model of the last finished iteration.

    Attributes:
        weights: The content of a safetensors file.
        preprocessing: What `predict.py` must know to show the network an image as raycal does.
        is_saved: Whether the run still had the model. If not, the model was trained again.
        without_pseudo_labels: Whether the model was trained again without the pseudo-labels that the run had used.
        evaluation: The evaluation on the labeled images of the test split. None if no image of the test split has a
            label.
        num_test: The number of labeled images of the test split.
        script: The file of this package that becomes `predict.py`. None if there is no script for the network.
        files: Further files of the model, by name.
    """

    weights: bytes
    preprocessing: dict[str, Any]
    is_saved: bool
    without_pseudo_labels: bool
    evaluation: Evaluation | None
    num_test: int
    script: str | None
    files: Mapping[str, bytes] = field(default_factory=dict)


def export_model(source: Source, images: LoadedDataset) -> ExportedModel:
    """Load or train the model of the last finished iteration, and evaluate it.

    Raises:
        InputError: The weights that the network starts from cannot be used.
        DivergedError: The training produced numbers that are not finite.
    """
    from raycal.learner.device import same_threads_afterwards

    images = _measurable(images)
    with same_threads_afterwards():
        learner, is_saved = last_learner(source, images)
        evaluation = learner.evaluate() if images.num_test else None
    return ExportedModel(
        weights=save(learner.arrays()),
        preprocessing=_preprocessing(source.config, images, learner),
        is_saved=is_saved,
        without_pseudo_labels=not is_saved and source.config.resolved_scenario.pseudo_labels is not None,
        evaluation=evaluation,
        num_test=images.num_test,
        script=SCRIPTS.get(module_of(networks[source.config.model.name])),
        files=_files(images, learner),
    )


def _files(images: LoadedDataset, learner: "NetworkLearner") -> dict[str, bytes]:
    """Further files that the model consists of, by name: for texts, the model of sentence-transformers without the last
    layer, with its tokenizer."""
    if not isinstance(images, TextDataset):
        return {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / ENCODER
        learner.extractor.network.save_encoder(folder)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(temporary).as_posix(): path.read_bytes() for path in files}


def last_learner(source: Source, samples: LoadedDataset) -> tuple["NetworkLearner", bool]:
    """The learner with the model of the last finished iteration, and whether the run still had this model.

    Raises:
        InputError: The weights that the network starts from cannot be used.
        DivergedError: The training produced numbers that are not finite.
    """
    learner = build.learner(source.config, samples, _worker(source))
    is_saved = _load_saved(source, learner)
    if not is_saved:
        _train_again(source, samples, learner)
    return learner, is_saved


def _measurable(samples: LoadedDataset) -> LoadedDataset:
    """The dataset, whose test split is reduced to the samples with a known label."""
    is_known = samples.test_labels >= 0
    return samples if is_known.all() else replace(samples, test_rows=samples.test_rows[is_known])


def last_training_set(
    config: ExperimentConfig,
    ledger: Sequence[Sequence[Interaction]],
    num_samples: int,
    amendments: Mapping[int, Mapping[int, int]] | None = None,
    label_probabilities: Callable[[Labels], Floats] | None = None,
) -> TrainingSet:
    """The labeled samples on which the model of the last iteration was trained, without pseudo-labels.

    Args:
        config: The configuration of the run.
        ledger: The interactions of each iteration.
        num_samples: The size of the pool.
        amendments: The labels of D^L that people had amended when an iteration began, by the iteration.
        label_probabilities: How probable labels (P,) are; only used if these probabilities are weights.

    Raises:
        InputError: The ledger does not fit the pool.
    """
    settings, pool = loop_settings(config), Pool.of(num_samples)
    for number, rows in enumerate(ledger):
        if number:
            pool.release(keep_cluster_labels=settings.keep_cluster_labels)
        try:
            pool.amend(*as_arrays((amendments or {}).get(number, {})))
            for row in rows:
                pool.apply(row)
        except ValueError as error:
            raise InputError(f"the ledger does not fit the images of the data set: {error}") from error
    if settings.cluster_weight == "posterior" and label_probabilities is not None:
        pool.weigh(label_probabilities(pool.snapshot().labels.astype(np.int64)))
    return pool.training_set(settings.cluster_weight)


def _worker(source: Source) -> WorkerSettings:
    """The compute settings of the run, on which the last bits of a model depend."""
    environment = source.run_dir.environment()
    threads, is_compiled = environment.get("threads"), environment.get("compiled")
    return WorkerSettings(
        threads=threads if isinstance(threads, int) and threads > 0 else os.cpu_count() or 1,
        compile=is_compiled if isinstance(is_compiled, bool) else None,
    )


def _load_saved(source: Source, learner: "NetworkLearner") -> bool:
    """Load the model that the run has saved in its last finished iteration, and return whether there is one."""
    last = source.results[-1]["iteration"]
    states = StateDir(source.run_dir.folder.folder(STATES)).whole()
    saved = next((state for state in states if state.iteration == last), None)
    if saved is None:
        return False
    try:
        learner.load(saved.model)
    except InputError:  # the saved model has another number of classes, because people have added classes since
        return False
    return True


def _train_again(source: Source, images: LoadedDataset, learner: "NetworkLearner") -> None:
    """Train the learner as in the last finished iteration, or load the result of an earlier call from the cache."""
    config, iteration = source.config, source.results[-1]["iteration"]
    people = AnsweredByPeople(source.run_dir.folder, lambda: iteration, config.seed) if asks_people(config) else None
    probabilities = None if people is None else partial(people.label_probabilities, iteration)
    training_set = last_training_set(
        config, source.ledger, images.num_train, source.amendments, label_probabilities=probabilities
    )
    rows = images.train_rows[training_set.indices]
    key = {
        "content": "model of the last iteration of a run",
        "raycal": __version__,
        "config": config.model_dump(mode="json"),
        "iteration": iteration,
        "classes": images.num_classes,
        "labels": _digest(training_set),
        "images": images.digest_of_rows(rows),
        "weights": learner.weights_digest,
        "hardware": learner.device_settings.hardware(),
        **learner.device_settings.describe(),
    }
    if images.weights is not None:
        key["sample_weights"] = hashlib.sha256(images.weights[rows].tobytes()).hexdigest()
    made: list[bytes] = []

    def make(folder: Path | None) -> None:
        purpose = partial(stream, config.seed, iteration)
        learner.reset(purpose("head"))
        learner.fit(training_set, purpose("train"))
        made.append(learner.save())
        if folder is not None:
            np.save(folder / "model.npy", np.frombuffer(made[0], np.uint8))

    try:
        saved = cached_arrays(key, make, folder=CACHE_FOLDER)["model"]
        if not made:
            learner.load(saved.tobytes())
        evict(CACHE_FOLDER, keep_bytes=MAX_CACHE_BYTES)
    except InputError as error:
        logger.warning("the trained model cannot be kept in the cache folder (%s)", error.__cause__ or error)
        if not made:
            make(None)


def _digest(training_set: TrainingSet) -> str:
    digest = hashlib.sha256(json.dumps([len(training_set.indices), training_set.weights is None]).encode())
    for array in (training_set.indices, training_set.labels, training_set.weights):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _preprocessing(config: ExperimentConfig, images: LoadedDataset, learner: "NetworkLearner") -> dict[str, Any]:
    facts, prepared = networks.facts(config.model.name), dict[str, Any]()
    if isinstance(images, ImageDataset):
        height, width, _ = images.shape
        prepared = {
            "stored_size": [int(height), int(width)],
            "image_size": config.training.image_size,
            "mean": list(facts.mean),
            "std": list(facts.std),
        }
    elif isinstance(images, VectorDataset):
        prepared = {"input": images.kind, "num_features": images.shape[0]}
    elif isinstance(images, TextDataset):
        prepared = {"input": images.kind}
    return {
        "network": config.model.name,
        "network_options": config.model.options,
        **prepared,
        "number_format": learner.device_settings.describe()["dtype"],
    }
