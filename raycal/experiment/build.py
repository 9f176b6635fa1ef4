"""Turns the names in a configuration into objects. Only this module knows both the configuration and the classes."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from raycal.algorithm import loop
from raycal.algorithm.acquisition import acquisitions
from raycal.algorithm.clustering import Clustering, clusterings
from raycal.algorithm.expert import Expert, experts
from raycal.algorithm.learner import Learner
from raycal.algorithm.pseudo_labels import PseudoLabeling, pseudo_labels
from raycal.algorithm.questions import Annotators
from raycal.algorithm.randomness import stream
from raycal.algorithm.records import Labels
from raycal.config import ExperimentConfig, WorkerSettings
from raycal.config.component import FeaturesConfig, NetworkConfig, weights_setting
from raycal.config.dataset_names import data_place
from raycal.config.people import asks_people
from raycal.data import Dataset, LoadedDataset, datasets
from raycal.data.image_dataset import UNLABELED
from raycal.data.manifest import NAMES_SHOWN, Manifest, in_both_splits, manifest_of
from raycal.errors import InputError, first_of
from raycal.experiment.downloads import lacks_weights
from raycal.learner.augmentations import augmentations
from raycal.learner.losses import losses
from raycal.learner.optimizers import optimizers
from raycal.networks import USUAL_SIZE, is_of_family, networks
from raycal.plugins import owner_of
from raycal.registry import Kind, Registry
from raycal.storage.inputs import DatasetInput, ExpectedInputs, Inputs, RecordedInputs

if TYPE_CHECKING:
    from raycal.learner.device import DeviceSettings
    from raycal.learner.feature_model import FeatureModel
    from raycal.learner.learner import NetworkLearner
    from raycal.learner.team import Team
    from raycal.learner.weights import StateDict

logger = logging.getLogger(__name__)


REGISTRIES: Mapping[str, Registry[Any]] = {
    "dataset": datasets,
    "model": networks,
    "acquisition": acquisitions,
    "clustering": clusterings,
    "expert": experts,
    "pseudo_labels": pseudo_labels,
    "loss": losses,
    "optimizer": optimizers,
    "augmentation": augmentations,
}


def dataset(config: ExperimentConfig) -> Dataset:
    """The dataset of an experiment, not yet loaded."""
    make = datasets[config.dataset.name]
    made: Dataset = make(**config.dataset.options, seed=config.seed, image_size=config.largest_image_size)
    return made


def dataset_key(config: ExperimentConfig) -> str:
    """The key of an experiment's dataset; experiments with the same key see the same samples in the same split."""
    options = json.dumps(config.dataset.options, sort_keys=True)
    return f"{config.dataset.name} {options} {config.seed} {config.largest_image_size}"


def weights_key(config: ExperimentConfig) -> str:
    """The key of an experiment's initial weights; experiments with the same key start from the same weights."""
    return _weights_key(config.model, config.training.image_size)


def features_key(config: ExperimentConfig) -> str | None:
    """The key of the weights of an experiment's separate feature model; None if there is none."""
    features = config.feature_model
    return None if features is None else _weights_key(features, features.image_size)


def _weights_key(network: NetworkConfig, image_size: int | None) -> str:
    options = f" {json.dumps(network.options, sort_keys=True)}" if network.options else ""
    # The weights of some networks of a family are adapted to the size of the images.
    size = f" {image_size} px" if is_of_family(network.name) else ""
    return f"{network.name} {network.weights}{options}{size}"


def _networks_of(config: ExperimentConfig) -> Iterator[tuple[str, NetworkConfig, int | None]]:
    """The networks of an experiment that start from weights: the key of the weights, the network, and the size of its
    images."""
    for network in config.networks:
        if network.weights != "none":
            size = network.image_size if isinstance(network, FeaturesConfig) else config.training.image_size
            yield _weights_key(network, size), network, size


def dataset_family(config: ExperimentConfig) -> str:
    """The key of an experiment's samples. Experiments with the same key have the same samples, in whatever splits."""
    return f"{config.dataset.name} {json.dumps(config.dataset.options, sort_keys=True)}"


def prepare(experiments: Mapping[str, ExperimentConfig]) -> Inputs:
    """Download and decode every dataset and read all weights once, so that no trial fails on them.

    Samples that are left out, and samples that are in both splits of a dataset, are logged as warnings.

    Returns:
        The digests and manifests of everything that was read.

    Raises:
        InputError: A download, a sample or a weights file cannot be used, or an expert does not fit its dataset.
    """
    labels: dict[str, Labels] = {}
    inputs: dict[str, DatasetInput] = {}
    digests: dict[str, str] = {}
    left_out: dict[str, Kind] = {}
    leaks: dict[str, list[str]] = {}
    for config in experiments.values():
        key = dataset_key(config)
        if key not in labels:
            loaded = dataset(config).load()
            labels[key] = loaded.train_labels
            left_out |= dict.fromkeys(loaded.left_out, loaded.kind)
            inputs[key] = _dataset_input(config, loaded)
            leaks.setdefault(inputs[key].title, []).append(_leak(loaded, inputs[key].manifest))
        expert(config, labels[key])
        for weights, network, size in _networks_of(config):
            if weights not in digests:
                digests[weights] = _weights_digest(network, size)
    if left_out:
        named = first_of(list(left_out), NAMES_SHOWN, "; ")
        kinds = {*left_out.values()}
        logger.warning("%d %s are left out: %s", len(left_out), kinds.pop() if len(kinds) == 1 else "samples", named)
    for title, by_split in leaks.items():
        if leaking := list(filter(None, by_split)):
            splits = f" ({len(leaking)} of {len(by_split)} splits have such a case)" if len({*by_split}) > 1 else ""
            logger.warning("warning: %s: %s%s", title, leaking[0], splits)
    return Inputs(datasets=inputs, weights=digests)


def read_again(
    experiments: Mapping[str, ExperimentConfig], recorded: RecordedInputs, *, already_read: Inputs
) -> Inputs:
    """Read again the recorded inputs of a sweep that are on this machine, to compare them with the record. Nothing is
    downloaded.

    Args:
        experiments: The experiments whose datasets and weights are read.
        recorded: The record of the sweep. Datasets and weights that are not in the record are not read.
        already_read: The inputs that are left out, because they have been read already.

    Raises:
        InputError: A sample or a weights file cannot be used.
    """
    inputs: dict[str, DatasetInput] = {}
    digests: dict[str, str] = {}
    for config in experiments.values():
        key = dataset_key(config)
        if dataset_family(config) in recorded.families and key not in inputs and key not in already_read.datasets:
            made = dataset(config)
            if not made.inspect().download:
                inputs[key] = _dataset_input(config, made.load())
        for weights, network, size in _networks_of(config):
            is_read = weights in digests or weights in already_read.weights
            if weights in recorded.weights and not is_read and not lacks_weights(network):
                digests[weights] = _weights_digest(network, size)
    return Inputs(datasets=inputs, weights=digests)


def _dataset_input(config: ExperimentConfig, loaded: LoadedDataset) -> DatasetInput:
    """The record of a loaded dataset."""
    title = str(data_place(config) or config.dataset.options.get("root") or config.dataset.name)
    return DatasetInput(family=dataset_family(config), title=title, manifest=manifest_of(loaded))


def _leak(loaded: LoadedDataset, manifest: Manifest) -> str:
    """A warning about test samples that are in the training pool, too; empty if there are none."""
    same = in_both_splits(loaded, manifest)
    if not same:
        return ""
    name, other = next(iter(same.items()))
    are = "is" if len(same) == 1 else "are"
    return (
        f"{len(same):,} of {loaded.num_test:,} test {loaded.kind} {are} in the training pool, too ({name} has the same"
        f" content as {other}), so the test accuracy is too high"
    )


def _weights_digest(network: NetworkConfig, image_size: int | None) -> str:
    """The digest of the weights that a network starts from."""
    from raycal.learner.weights import weights_digest

    return weights_digest(_weights(network, image_size) or {})


def _weights(network: NetworkConfig, image_size: int | None) -> "StateDict | None":
    """The weights that a network starts from; None if it starts from random weights."""
    from raycal.learner.weights import load_weights

    try:
        return load_weights(network.weights, network.name, network.options, image_size)
    except InputError as error:
        if not isinstance(network, FeaturesConfig):
            raise
        words = (problem.replace("model.weights", weights_setting(network)) for problem in error.problems)
        raise InputError(*words) from error


def expected_inputs(inputs: Inputs, experiments: Mapping[str, ExperimentConfig]) -> dict[str, ExpectedInputs]:
    """The inputs that each experiment must read, by experiment id; experiments whose dataset was not prepared are left
    out."""
    expected_inputs = {
        key: inputs.expected(dataset_key(config), weights_key(config), features_key(config))
        for key, config in experiments.items()
    }
    return {key: expected for key, expected in expected_inputs.items() if expected is not None}


def clustering(config: ExperimentConfig) -> Clustering:
    """The clustering with its options, which runs in this process."""
    return partial(clusterings[config.clustering.name], **config.clustering.options)


def expert(config: ExperimentConfig, true_labels: Labels) -> Expert:
    """The expert, with its options and the true labels. People get no true labels.

    Raises:
        InputError: An option does not fit the classes, or the samples have no labels.
    """
    if asks_people(config):
        return experts[config.expert.name](true_labels[:0], **config.expert.options)
    if (true_labels == UNLABELED).any():
        raise InputError(needs_labels(config))
    return experts[config.expert.name](true_labels, **config.expert.options)


def needs_labels(config: ExperimentConfig) -> str:
    """The problem, in one line, if an expert needs true labels and the dataset has no labels; otherwise None."""
    options = config.dataset.options
    labels = "set label to the column of the labels" if "label" in options else "the dataset image_folder"
    return (
        f"dataset {config.dataset.name}: has no true labels, from which the expert {config.expert.name} answers; use"
        f" `expert: people` with raycal.annotate, or {labels}"
    )


def learner(
    config: ExperimentConfig, loaded: LoadedDataset, worker: WorkerSettings, *, team: "Team | None" = None
) -> "NetworkLearner":
    """The learner with its weights loaded, on the GPU if there is one.

    Args:
        config: The experiment.
        loaded: The dataset.
        worker: The compute settings of this worker.
        team: The workers of the trial. None means that this is the only worker.
    """
    from raycal.learner.device import DeviceSettings
    from raycal.learner.feature_extractor import FeatureExtractor
    from raycal.learner.learner import FineTuner, LinearProbe

    training, rounds = config.training, config.resolved_scenario.iterations(config.iterations)
    device_settings = DeviceSettings.choose(
        # Networks of vectors are so small that shorter number formats make them less exact, but not faster.
        "float32" if training.dtype == "auto" and loaded.kind == "vectors" else training.dtype,
        threads=worker.threads,
        gpu_share=worker.gpu_share,
        compiled=worker.compile,
        steps=0 if config.model.trains_head_alone else rounds * training.most_steps(loaded.num_train),
    )
    extractor = FeatureExtractor(
        loaded,
        training.image_size,
        network=config.model.name,
        network_options=config.model.options,
        network_source=_network_source(config.model),
        weights=_weights(config.model, training.image_size),
        rng=stream(config.seed, 0, "backbone"),
        device_settings=device_settings,
        frozen_up_to=config.model.frozen_up_to,
    )
    make = LinearProbe if config.model.trains_head_alone else FineTuner
    return make(
        extractor,
        training,
        loss=partial(losses[training.loss.name], **training.loss.options),
        optimizer=partial(optimizers[training.optimizer.name], **training.optimizer.options),
        augmentations=[augmentations[by.name](**by.options) for by in training.augmentation],
        team=team,
        features=_feature_model(config, loaded, device_settings),
    )


def _feature_model(
    config: ExperimentConfig, loaded: LoadedDataset, device_settings: "DeviceSettings"
) -> "FeatureModel | None":
    """The separate feature model of an experiment; None if there is none."""
    from raycal.learner.feature_extractor import FeatureExtractor
    from raycal.learner.feature_model import FeatureModel

    features = config.feature_model
    if features is None:
        return None

    def make() -> FeatureExtractor:
        return FeatureExtractor(
            loaded,
            features.image_size or USUAL_SIZE,
            network=features.name,
            network_options=features.options,
            network_source=_network_source(features),
            weights=_weights(features, features.image_size),
            rng=stream(config.seed, 0, "features"),
            # The feature model reads each sample only once, so its samples stay on the host. The device already holds
            # the samples of the trained network.
            device_settings=replace(device_settings, gpu_share=0.0, compiled=False),
        )

    return FeatureModel(make)


def wrong_with_frozen(config: ExperimentConfig) -> str | None:
    """The problem with the layer up to which the network is frozen, which is found by building the network. None if no
    problem was found.

    A network of texts is not built, because it may have to be downloaded first.
    """
    layer, name = config.model.frozen_up_to, config.model.name
    kind = networks.facts(name).input
    if layer is None or kind == "texts":
        return None
    import numpy as np

    from raycal.learner.frozen_layers import freeze_up_to
    from raycal.learner.network import new_network

    network = new_network(
        name,
        2,
        np.random.default_rng(0),
        config.model.options,
        num_features=2 if kind == "vectors" else None,
        image_size=config.training.image_size,
    )
    try:
        freeze_up_to(network, layer)
    except InputError as error:
        return str(error)
    return None


def _network_source(config: NetworkConfig) -> str:
    """A text that differs between networks whose weights are the same but whose code may differ, because a plug-in was
    changed or a library has another version. Empty for a network of raycal.
    """
    name, plugin = config.name, owner_of("model", config.name)
    if plugin is None and not is_of_family(name):
        return ""
    source = networks.facts(name).version if plugin is None else plugin.digest
    return f"{name} {source} {json.dumps(config.options, sort_keys=True)}"


def components(
    config: ExperimentConfig,
    loaded: LoadedDataset,
    model: Learner,
    cluster: Clustering | None = None,
    annotators: Annotators | None = None,
) -> loop.Components:
    """The components of Algorithm 1 for an experiment. If `cluster` is None, clustering runs in this process."""
    return loop.Components(
        learner=model,
        expert=expert(config, loaded.train_labels),
        acquisition=partial(acquisitions[config.acquisition.name], **config.acquisition.options),
        clustering=cluster or clustering(config),
        pseudo_labels=_pseudo_labeling(config),
        annotators=annotators,
    )


def _pseudo_labeling(config: ExperimentConfig) -> PseudoLabeling | None:
    by = config.resolved_scenario.pseudo_labels
    return None if by is None else partial(pseudo_labels[by.name], **by.options)
