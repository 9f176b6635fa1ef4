"""Tests that networks other than torchvision's have the options, head, preprocessing, weights and cost that they
declare."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from raycal.config import ExperimentConfig, WorkerSettings
from raycal.data import DatasetInfo
from raycal.dry_run.cost import estimate_cost
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import downloads
from raycal.learner.network import embeddings_of, head_of, new_network
from raycal.networks import PublishedWeights, networks

ONE_THREAD = WorkerSettings(threads=1)


class TwoHeaded(nn.Module):
    """A network with another linear layer behind the one that gives the logits."""

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits = nn.Linear(width, num_classes)
        self.unused = nn.Linear(width, 2)

    def forward(self, images: Tensor) -> Tensor:
        given: Tensor = self.logits(self.body(images))
        return given


@pytest.fixture(autouse=True)
def own_networks() -> Iterator[None]:
    @networks("two_headed", gflop=0.0014, head="logits", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    def two_headed(num_classes: int, *, width: int = 4) -> "nn.Module":
        return TwoHeaded(num_classes, width)

    @networks("fixed_size", gflop=1.0, image_size=48, imagenet=PublishedWeights("https://a.example/x/fixed.pth", 7))
    def fixed_size(num_classes: int) -> nn.Module:
        return TwoHeaded(num_classes, 4)

    @networks("no_head", gflop=1.0)
    def no_head(num_classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    @networks("other_head", gflop=1.0, head="classifier")
    def other_head(num_classes: int) -> nn.Module:
        return TwoHeaded(num_classes, 4)

    yield
    for name in ("two_headed", "fixed_size", "no_head", "other_head"):
        networks.forget(name)


def config(model: Any, **settings: Any) -> ExperimentConfig:
    given = {"dataset": {"name": "digits", "train_size": 20, "test_size": 10}, "scenario": "random", "model": model}
    training = {"epochs": 1, "image_size": 32, "batch_size": 4}
    return ExperimentConfig.model_validate(given | {"training": training} | settings, context=build.REGISTRIES)


def test_bare_name_and_group_are_the_same_experiment() -> None:
    assert config("resnet34").experiment_id == config({"name": "resnet34"}).experiment_id
    assert config("resnet34").model.weights == "imagenet"


def test_options_of_a_network_are_filled_in_and_part_of_the_identity() -> None:
    default = config({"name": "two_headed", "weights": "none"})

    assert default.model.options == {"width": 4}
    assert default.experiment_id == config({"name": "two_headed", "weights": "none", "width": 4}).experiment_id
    assert default.experiment_id != config({"name": "two_headed", "weights": "none", "width": 5}).experiment_id


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"name": "two_headed", "weights": "none", "width": "wide"}, "width\n  Input should be a valid integer"),
        ({"name": "resnet18", "width": 4}, "width\n  Extra inputs are not permitted"),
        ({"name": "two_heads"}, "no such network .did you mean 'two_headed'"),
        (
            {"name": "two_headed"},
            "should be none or a file, not 'imagenet', because no weights are published for two_headed",
        ),
        ({"name": "fixed_size"}, "should be 48, not 32, as fixed_size accepts no other size"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(model: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(model)


def test_plan_names_a_network_that_is_not_registered_here() -> None:
    settings = config({"name": "two_headed", "weights": "none"}).model_dump(mode="json")
    networks.forget("two_headed")
    try:
        assert ExperimentConfig.model_validate(settings).model.options == {"width": 4}
    finally:
        networks("two_headed", gflop=0.1)(lambda num_classes: nn.Identity())


def test_head_is_the_layer_that_the_entry_names() -> None:
    network = new_network("two_headed", 3, np.random.default_rng(0), {"width": 6}).eval()
    prefix, head = head_of(network)
    images = torch.rand(2, 3, 16, 16)

    assert (prefix, head.in_features, head.out_features) == ("logits.", 6, 3)
    torch.testing.assert_close(head(embeddings_of(network, head, images)), network(images))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_head", "the network no_head: no nn.Linear inside the module could be its last layer; there are: none"),
        ("other_head", "no nn.Linear called 'classifier' inside the module .*; there are: logits, unused"),
        ("fixed_size", "the network fixed_size: its last layer unused has 2 outputs for 3 classes"),
    ],
)
def test_network_without_a_usable_head_is_one_line(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        new_network(name, 3, np.random.default_rng(0))


def test_images_are_normalized_as_the_entry_says() -> None:
    wanted = config({"name": "two_headed", "weights": "none"})
    images = build.dataset(wanted).load()
    learner = build.learner(wanted, images, ONE_THREAD)
    (batch,) = learner.extractor.inputs.batches(images.train_rows[:1], [slice(0, 1)])

    pixels = torch.tensor(images.images[images.train_rows[0]]).permute(2, 0, 1).float() / 255
    assert batch.min().item() == pytest.approx((pixels.min().item() - 0.5) / 0.25, abs=0.2)
    assert batch.min().item() == pytest.approx(-2.0, abs=0.2)


def test_embeddings_kept_on_disk_are_not_those_of_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from raycal.learner import feature_extractor as module
    from raycal.learner.device import DeviceSettings
    from raycal.learner.learner import FineTuner

    keys = []
    monkeypatch.setattr(module, "cached_embeddings", lambda key, compute: keys.append(key) or compute())
    wanted = config({"name": "two_headed", "weights": "none"})
    images = build.dataset(wanted).load()
    for source in ("", "before", "after"):
        extractor = module.FeatureExtractor(
            images,
            wanted.training.image_size,
            network="two_headed",
            network_source=source,
            weights=None,
            rng=np.random.default_rng(0),
            device_settings=DeviceSettings.choose("float32"),
        )
        FineTuner(extractor, wanted.training).predict(np.arange(3))

    assert [key.get("network") for key in keys] == [None, "before", "after"]


def test_dry_run_takes_the_cost_and_the_download_of_the_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    info = DatasetInfo(num_train=20, num_test=10, num_classes=10)
    small = config({"name": "two_headed", "weights": "none"})
    large = config({"name": "fixed_size"}, training={"epochs": 1, "image_size": 48})

    ratio = estimate_cost(large, info).least_gflop / estimate_cost(small, info).least_gflop
    # The cost of one network is stated for 48 px, and the cost of the other for 224 px.
    assert ratio == pytest.approx((224 / 32) ** 2 * 1.0 / 0.0014)
    assert downloads([small], {}) == []
    (needed,) = downloads([large], {})
    assert (needed.url, "fixed_size (7 MB)" in needed.what) == ("https://a.example/x/fixed.pth", True)


def test_own_network_trains_and_reads_its_weights_from_a_file(tmp_path: Path) -> None:
    state = new_network("two_headed", 5, np.random.default_rng(3)).state_dict()
    torch.save(state, tmp_path / "own.pth")
    wanted = config({"name": "two_headed", "weights": str(tmp_path / "own.pth")})
    images = build.dataset(wanted).load()
    learner = build.learner(wanted, images, ONE_THREAD)

    assert learner.weights_digest is not None
    assert torch.equal(learner.extractor.network.state_dict()["body.0.weight"], state["body.0.weight"])
    assert learner.predict(np.arange(4)).embeddings.shape == (4, 4)


@pytest.mark.parametrize("name", ["Upper", "with space", "", "a/b", "-dash", 7])
def test_name_that_cannot_be_part_of_a_folder_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="should be named with 1 to 64 characters of a-z 0-9"):
        networks(name, gflop=1.0)(lambda num_classes: nn.Identity())
    assert name not in networks
