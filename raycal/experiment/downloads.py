"""Lists what a sweep downloads at its first start, and downloads weights, without importing torch."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

from raycal.config import ExperimentConfig
from raycal.config.component import NetworkConfig, weights_setting
from raycal.data import DatasetInfo
from raycal.data.download import checkpoints_dir, download
from raycal.errors import InputError
from raycal.networks import IMAGENET, PRETRAINED, PublishedWeights, networks
from raycal.networks.registry import no_download

# The beginning of the SHA-256 at the end of a name such as `resnet18-f37072fd.pth`.
_CHECKSUM = re.compile(r"-([0-9a-f]{8,64})\.")


class Download(NamedTuple):
    """A file or dataset that is not on this machine.

    Attributes:
        what: The name of the file or dataset in words.
        url: The URL that it is downloaded from.
        instead: What the user can do instead without a network.
    """

    what: str
    url: str
    instead: str

    def __str__(self) -> str:
        return (
            f"{self.what}: is not on this machine and will be downloaded from {self.host}; "
            f"without a network, {self.instead}"
        )

    @property
    def host(self) -> str:
        """The host name of the server."""
        return urlsplit(self.url).netloc


def downloads(experiments: Iterable[ExperimentConfig], infos: Mapping[str, DatasetInfo]) -> list[Download]:
    """The downloads that the experiments need and this machine does not have, each once.

    Args:
        experiments: The experiments of the sweep.
        infos: The datasets of the experiments, by experiment id.
    """
    needed: dict[Download, None] = {}
    for config in experiments:
        info = infos.get(config.experiment_id)
        if info is not None and info.download:
            needed[Download(config.dataset.name, info.download, f"put it into {info.download_to}")] = None
        for network in config.networks:
            if lacks_weights(network):
                needed[_of_weights(network)] = None
    return list(needed)


def _of_weights(network: NetworkConfig) -> Download:
    """The download that provides the published weights of a network."""
    name, facts, key = network.name, networks.facts(network.name), weights_setting(network)
    if facts.pretrained is not None:
        return Download(
            f"{key}: pretrained of {name}", facts.pretrained.url, facts.pretrained.instead.replace("model.weights", key)
        )
    assert facts.imagenet is not None
    what = f"{key}: imagenet of {name} ({facts.imagenet.megabytes} MB)"
    instead = f"put {facts.imagenet.file} into {checkpoints_dir()}, or give a file as {key}"
    return Download(what, facts.imagenet.url, instead)


def lacks_weights(network: NetworkConfig) -> bool:
    """Whether the weights of a network would be downloaded, because they are not on this machine."""
    if network.weights == PRETRAINED:
        pretrained = networks.facts(network.name).pretrained
        return pretrained is not None and not pretrained.is_here()
    weights = networks.facts(network.name).imagenet
    return network.weights == IMAGENET and weights is not None and not (checkpoints_dir() / weights.file).is_file()


def fetch_weights(config: ExperimentConfig) -> None:
    """Download the weights of an experiment into the folders in which their libraries look for them, if they are not
    there.

    Raises:
        InputError: A download failed, and left no part of the file.
    """
    for network in config.networks:
        if lacks_weights(network):
            _fetch_weights(network)


def _fetch_weights(network: NetworkConfig) -> None:
    name, facts, key = network.name, networks.facts(network.name), weights_setting(network)
    if facts.pretrained is not None:
        try:
            facts.pretrained.fetch()
        except Exception as error:  # libraries fail in many ways when there is no network
            raise InputError(no_download(name, facts.pretrained, error).replace("model.weights", key)) from error
        return
    weights = facts.imagenet
    assert weights is not None
    folder = checkpoints_dir()
    download(
        folder,
        lambda: _fetch(weights, folder / weights.file),
        name=f"{key}: imagenet",
        instead=f"without a network, put {weights.url} into that folder, or give a file with the weights of "
        f"{name} as {key}",
    )


def _fetch(weights: PublishedWeights, target: Path) -> None:
    """Download a file with weights, and keep it only if its checksum begins with the digits at the end of its name."""
    from urllib.request import urlopen

    if target.is_file():
        return
    with TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary, urlopen(weights.url) as response:
        part, digest = Path(temporary) / target.name, hashlib.sha256()
        with part.open("wb") as file:
            while block := response.read(2**20):
                file.write(block)
                digest.update(block)
        checksum = _CHECKSUM.search(target.name)
        if checksum is not None and not digest.hexdigest().startswith(checksum[1]):
            raise OSError("the file that came has another checksum")
        os.replace(part, target)
