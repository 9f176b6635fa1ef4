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
from raycal.data import DatasetInfo
from raycal.data.download import checkpoints_dir, download
from raycal.networks import IMAGENET, PublishedWeights, networks

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
        return f"{self.what}: is not on this machine and will be downloaded from {self.host}; offline {self.instead}"

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
        weights = networks.facts(config.model.name).imagenet
        if weights is not None and lacks_weights(config):
            what = f"model.weights: imagenet of {config.model.name} ({weights.megabytes} MB)"
            instead = f"put {weights.file} into {checkpoints_dir()}, or give a file as model.weights"
            needed[Download(what, weights.url, instead)] = None
    return list(needed)


def lacks_weights(config: ExperimentConfig) -> bool:
    """Whether the weights of an experiment would be downloaded, because they are not on this machine."""
    weights = networks.facts(config.model.name).imagenet
    return config.model.weights == IMAGENET and weights is not None and not (checkpoints_dir() / weights.file).is_file()


def fetch_weights(config: ExperimentConfig) -> None:
    """Download the weights of an experiment into the folder in which torch looks for them, if they are not there.

    Raises:
        InputError: The download failed, and left no part of the file.
    """
    weights = networks.facts(config.model.name).imagenet
    if weights is None or not lacks_weights(config):
        return
    folder = checkpoints_dir()
    download(
        folder,
        lambda: _fetch(weights, folder / weights.file),
        name="model.weights: imagenet",
        instead=f"without a network, put {weights.url} into that folder, or give a file with the weights of "
        f"{config.model.name} as model.weights",
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
