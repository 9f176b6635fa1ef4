"""The network of an experiment must take the kind of samples that its dataset has."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from raycal.config import load_sweep
from raycal.config.experiment import ExperimentConfig
from raycal.data import datasets
from raycal.errors import InputError
from raycal.experiment import build
from raycal.registry import Kind


class OfVectors:
    """Stands for any dataset of vectors; only its kind is looked at here."""

    kind: ClassVar[Kind] = "vectors"

    def __init__(self, *, seed: int, image_size: int) -> None:
        raise AssertionError("no dataset is made while a sweep file is checked")


class OfTexts(OfVectors):
    kind: ClassVar[Kind] = "texts"


@pytest.fixture(autouse=True)
def made_up_datasets() -> Iterator[None]:
    datasets("made_up_vectors")(OfVectors)
    datasets("made_up_texts")(OfTexts)
    yield
    datasets.forget("made_up_vectors")
    datasets.forget("made_up_texts")


def load(dataset: str, **settings: Any) -> ExperimentConfig:
    experiment = {"dataset": dataset, "scenario": "random", **settings}
    (config,) = load_sweep({"name": "s", "experiment": experiment}, build.REGISTRIES).experiments.values()
    return config


def problems(dataset: str, **settings: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(dataset, **settings)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("dataset", "given", "name", "weights"),
    [
        ("made_up_vectors", {}, "linear", "none"),
        ("made_up_vectors", {"model": {}}, "linear", "none"),
        ("made_up_vectors", {"model": "mlp"}, "mlp", "none"),
        ("made_up_vectors", {"model": {"name": "mlp", "hidden": 8}}, "mlp", "none"),
        ("made_up_vectors", {"model": {"frozen": True}}, "linear", "none"),
        ("made_up_vectors", {"model": {"weights": None}}, "linear", "none"),
        ("digits", {}, "resnet18", "imagenet"),
        ("digits", {"model": {"weights": "none"}}, "resnet18", "none"),
    ],
)
def test_model_that_is_not_named_fits_the_dataset(dataset: str, given: dict[str, Any], name: str, weights: str) -> None:
    model = load(dataset, **given).model

    assert (model.name, model.weights) == (name, weights)


def test_options_of_the_default_network_are_checked() -> None:
    (line,) = problems("made_up_vectors", model={"hidden": 8})

    assert "hidden" in line


def test_stored_configuration_is_read_back_as_it_is() -> None:
    config = load("made_up_vectors")
    datasets.forget("made_up_vectors")
    again = ExperimentConfig.model_validate(config.model_dump(mode="json"))
    datasets("made_up_vectors")(OfVectors)

    assert again == config
    assert again.experiment_id == config.experiment_id


@pytest.mark.parametrize(
    ("dataset", "settings", "line"),
    [
        (
            "made_up_vectors",
            {"model": "resnet18"},
            "experiment.model.name: takes images, but the dataset made_up_vectors has vectors; use linear or mlp",
        ),
        (
            "digits",
            {"model": "mlp"},
            "experiment.model.name: takes vectors, but the dataset digits has images; name a network of images",
        ),
        (
            "made_up_texts",
            {},
            "experiment.model: should name a network of texts, such as sentence-transformers/all-MiniLM-L6-v2, because"
            " the dataset made_up_texts has texts",
        ),
        (
            "made_up_vectors",
            {"model": {"name": "linear", "weights": "imagenet"}},
            "experiment.model.weights: should be none, because linear takes vectors and always starts from random"
            " weights",
        ),
        (
            "made_up_vectors",
            {"training": {"horizontal_flip": True}},
            "experiment.training.horizontal_flip: should be false, because the dataset made_up_vectors has vectors,"
            " which cannot be mirrored",
        ),
        (
            "made_up_vectors",
            {"training": {"augmentation": "flip+crop"}},
            "experiment.training.augmentation: should be empty, because the dataset made_up_vectors has vectors, and"
            " only images can be augmented",
        ),
        (
            "made_up_vectors",
            {"expert": "people", "scenario": "random"},
            "experiment.expert.name: cannot be people, because nobody can look at vectors, and the dataset"
            " made_up_vectors has vectors",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(dataset: str, settings: dict[str, Any], line: str) -> None:
    assert problems(dataset, **settings) == [line]


def test_grid_over_datasets_of_two_kinds_gives_each_its_network() -> None:
    sweep = load_sweep(
        {"name": "s", "experiment": {"scenario": "random"}, "grid": {"dataset": ["digits", "made_up_vectors"]}},
        build.REGISTRIES,
    )

    assert [config.model.name for config in sweep.experiments.values()] == ["resnet18", "linear"]
