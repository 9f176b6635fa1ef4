"""Checks that the network of an experiment takes the kind of samples that its dataset has: images, vectors or texts."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from raycal.algorithm.expert.people import PEOPLE
from raycal.config.component import DEFAULT_NETWORK, ComponentConfig, FeaturesConfig, ModelConfig
from raycal.config.training import TrainingConfig
from raycal.networks import USUAL_SIZE, networks
from raycal.registry import Kind, Registry

# The default network of an experiment, by the kind of its samples. For texts there is no default.
DEFAULT_NETWORKS: Mapping[Kind, str] = {"images": DEFAULT_NETWORK, "vectors": "linear"}
# Networks of these kinds of samples have no published weights, so these networks start from random weights unless the
# sweep file names a file with weights.
WITHOUT_PUBLISHED_WEIGHTS: tuple[Kind, ...] = ("vectors",)

A_NETWORK_OF_TEXTS = "sentence-transformers/all-MiniLM-L6-v2"

Registries = Mapping[str, Registry[Any]]


class Experiment(Protocol):
    """The settings of an `ExperimentConfig` that depend on the kind of samples."""

    @property
    def dataset(self) -> ComponentConfig: ...
    @property
    def model(self) -> ModelConfig: ...
    @property
    def expert(self) -> ComponentConfig: ...
    @property
    def training(self) -> TrainingConfig: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def kind_of_dataset(dataset: Any, registries: Registries) -> Kind | None:
    """The kind of samples of a dataset, which is given by its name or its settings. None if the kind is not known."""
    name = dataset.get("name") if isinstance(dataset, Mapping) else dataset
    registry = registries.get("dataset")
    if registry is None or not isinstance(name, str) or name not in registry:
        return None
    kind: Kind = getattr(registry[name], "kind", "images")
    return kind


def with_model(settings: Any, registries: Registries) -> Any:
    """The settings of an experiment, completed by the default network for its dataset and by `weights: none` for a
    network that has no published weights."""
    if not isinstance(settings, Mapping):
        return settings
    kind, model = kind_of_dataset(settings.get("dataset"), registries), settings.get("model", {})
    if isinstance(model, str):
        model = {"name": model}
    if kind is None or not isinstance(model, Mapping):
        return settings
    given = dict(model)
    if "name" not in given and kind != "images" and kind in DEFAULT_NETWORKS:
        given["name"] = DEFAULT_NETWORKS[kind]
    name = given.get("name")
    if isinstance(name, str) and name in networks and networks.facts(name).input in WITHOUT_PUBLISHED_WEIGHTS:
        given.setdefault("weights", "none")
    return settings if given == dict(model) else {**settings, "model": given}


def misfits_of_kinds(config: Experiment, registries: Registries) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """The settings that do not fit the kind of samples of the dataset: key, value and reason."""
    kind, name = kind_of_dataset(config.dataset.name, registries), config.model.name
    if kind is None or name not in networks:
        return
    takes, dataset = networks.facts(name).input, config.dataset.name
    if takes != kind and kind not in DEFAULT_NETWORKS and "model" not in config.model_fields_set:
        words = (
            f"should name a network of {kind}, such as {A_NETWORK_OF_TEXTS}, because the dataset {dataset} has {kind}"
        )
        yield ("model",), None, words
        return
    if takes != kind:
        example = f", such as {A_NETWORK_OF_TEXTS}" if kind == "texts" else ""
        fitting = [other for other in networks if networks.facts(other).input == kind]
        instead = f"use {' or '.join(fitting)}" if 0 < len(fitting) < 4 else f"name a network of {kind}{example}"
        yield ("model", "name"), name, f"takes {takes}, but the dataset {dataset} has {kind}; {instead}"
        return
    if takes in WITHOUT_PUBLISHED_WEIGHTS and config.model.weights != "none":
        words = f"should be none, because {name} takes {takes} and always starts from random weights"
        yield ("model", "weights"), config.model.weights, words
    if takes == "texts" and config.model.weights == "none":
        words = f"should be pretrained or a file, because {name} is a model with its own weights and tokenizer"
        yield ("model", "weights"), config.model.weights, words
    if kind != "images" and config.training.image_size != USUAL_SIZE:
        words = f"has no effect, because the dataset {dataset} has {kind}; leave it out"
        yield ("training", "image_size"), config.training.image_size, words
    if kind != "images" and config.training.horizontal_flip:
        words = f"should be false, because the dataset {dataset} has {kind}, which cannot be mirrored"
        yield ("training", "horizontal_flip"), True, words
    if kind != "images" and config.training.augmentation:
        words = f"should be empty, because the dataset {dataset} has {kind}, and only images can be augmented"
        yield ("training", "augmentation"), config.training.augmentation_words, words
    if kind == "vectors" and config.expert.name == PEOPLE:
        words = f"cannot be people, because nobody can look at vectors, and the dataset {dataset} has {kind}"
        yield ("expert", "name"), config.expert.name, words


def misfits_of_features(
    config: Experiment, features: FeaturesConfig, registries: Registries
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """The settings of a separate feature model that do not fit the dataset: key, value and reason."""
    kind, name, dataset = kind_of_dataset(config.dataset.name, registries), features.name, config.dataset.name
    if kind == "vectors":
        yield ("features",), name, f"has no use, because the dataset {dataset} has vectors already; leave it out"
    elif kind is not None and name in networks and (takes := networks.facts(name).input) != kind:
        yield ("features", "name"), name, f"takes {takes}, but the dataset {dataset} has {kind}"
