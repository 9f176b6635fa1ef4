from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from torchvision.models import get_model_weights

from raycal.config import ExperimentConfig
from raycal.errors import InputError
from raycal.experiment import build
from raycal.experiment.downloads import Download, downloads, fetch_weights
from raycal.networks import networks
from raycal.sweep.preflight import check


@pytest.fixture(autouse=True)
def torch_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


def needed(**settings: Any) -> list[Download]:
    given = {"dataset": "digits", "scenario": "random", **settings}
    config = ExperimentConfig.model_validate(given, context=build.REGISTRIES)
    experiments = {config.experiment_id: config}
    return downloads(experiments.values(), check(experiments))


@pytest.mark.parametrize("network", [name for name in networks if networks.facts(name).input == "images"])
def test_files_of_weights_are_those_of_torchvision(network: str) -> None:
    published = get_model_weights(network).IMAGENET1K_V1
    known = networks.facts(network).imagenet
    assert known is not None
    assert (known.url, known.file) == (published.url, published.url.rpartition("/")[2])
    assert known.megabytes == round(published.meta["_file_size"])


def test_weights_are_said_until_they_are_there(torch_home: Path) -> None:
    (one,) = needed(model={"name": "resnet34"})
    assert str(one) == (
        "model.weights: imagenet of resnet34 (83 MB): is not on this machine and will be downloaded from "
        f"download.pytorch.org; without a network, put resnet34-b627a593.pth into {torch_home}/hub/checkpoints, "
        "or give a file as model.weights"
    )
    (torch_home / "hub/checkpoints").mkdir(parents=True)
    (torch_home / "hub/checkpoints/resnet34-b627a593.pth").write_bytes(b"")
    assert needed(model={"name": "resnet34"}) == []
    assert needed(model={"weights": "none"}) == []


@pytest.mark.parametrize(("name", "host"), [("cifar10", "www.cs.toronto.edu"), ("eurosat", "huggingface.co")])
def test_datasets_are_said_until_they_are_there(name: str, host: str, tmp_path: Path) -> None:
    dataset = {"name": name, "root": str(tmp_path)}
    (one,) = needed(dataset=dataset, model={"weights": "none"})
    assert (one.what, one.host) == (name, host)
    assert str(tmp_path) in one.instead
    there = tmp_path / {"cifar10": "cifar-10-batches-py", "eurosat": "eurosat/2750/Forest"}[name]
    there.mkdir(parents=True)
    if name == "eurosat":
        for number in range(10):
            (there / f"{number}.jpg").write_bytes(b"")
            (tmp_path / "eurosat/2750/River").mkdir(exist_ok=True)
            (tmp_path / f"eurosat/2750/River/{number}.jpg").write_bytes(b"")
    assert needed(dataset=dataset, model={"weights": "none"}) == []


class Published:
    """Weights of a network at an address of the test."""

    def __init__(self, file: Path) -> None:
        self.url, self.file = file.as_uri(), file.name


@pytest.mark.parametrize("checksum", ["right", "wrong", "none"])
def test_downloaded_weights_are_kept_only_if_their_checksum_is_right(
    tmp_path: Path, torch_home: Path, monkeypatch: pytest.MonkeyPatch, checksum: str
) -> None:
    content = b"weights" * 1000
    digest = {"right": "-" + sha256(content).hexdigest()[:8], "wrong": "-00000000", "none": ""}[checksum]
    source = tmp_path / f"net{digest}.pth"
    source.write_bytes(content)
    config = ExperimentConfig.model_validate({"dataset": "digits", "scenario": "random"}, context=build.REGISTRIES)
    facts = replace(networks.facts(config.model.name), imagenet=Published(source))
    monkeypatch.setattr(type(networks), "facts", lambda self, name: facts)
    kept = torch_home / "hub/checkpoints" / source.name
    if checksum == "wrong":
        with pytest.raises(
            InputError, match=r"model.weights: imagenet: .* has another checksum.*; without a network, put"
        ):
            fetch_weights(config)
        assert not kept.exists()
        assert not list(kept.parent.glob(".download-*"))
    else:
        fetch_weights(config)
        assert kept.read_bytes() == content
        source.unlink()
        fetch_weights(config)  # A second call needs no download.
