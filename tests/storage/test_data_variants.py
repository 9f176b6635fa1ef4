from typing import Any

from raycal.config import ExperimentConfig
from raycal.experiment import build
from raycal.storage.data_variants import RunInputs, data_variants


def ran(seed: int, *, images: str = "", listing: str = "one", weights: str | None = None, **recorded: Any) -> RunInputs:
    """A trial that has read the given data. A record without a digest of the images is that of an earlier version of
    raycal.
    """
    given = {"dataset": "digits", "scenario": "random", "seed": seed}
    sizes = {"num_train": 30, "num_test": 10, "num_listed": 40} | recorded
    dataset = {"digest": "0123", "images": images, "listing": listing, **sizes} if images else {"digest": "0123"}
    environment = {"dataset": dataset, **({} if weights is None else {"weights": weights})}
    return RunInputs(ExperimentConfig.model_validate(given, context=build.REGISTRIES), environment)


def test_same_data_have_no_variants() -> None:
    assert data_variants([ran(0, images="a"), ran(1, images="a"), ran(2)]) == ["", "", ""]
    assert data_variants([RunInputs(ran(0).config, {}), ran(1, images="a")]) == ["", ""]


def test_different_images_are_told_apart() -> None:
    assert data_variants([ran(0, images="a"), ran(1, images="b"), ran(2), ran(3, images="b")]) == [
        "data 1",
        "data 2",
        "data 1",
        "data 2",
    ]


def test_subsets_of_each_seed_are_compared_by_all_names_there_are() -> None:
    subset = {"num_train": 5}
    assert data_variants([ran(0, images="a", **subset), ran(1, images="b", **subset)]) == ["", ""]
    more = ran(1, images="b", listing="two", **subset)
    assert data_variants([ran(0, images="a", **subset), more]) == ["data 1", "data 2"]


def test_different_weights_are_told_apart() -> None:
    trials = [ran(0, images="a", weights="w"), ran(1, images="a", weights="v"), ran(2, images="a", weights="w")]
    assert data_variants(trials) == ["data 1", "data 2", "data 1"]
