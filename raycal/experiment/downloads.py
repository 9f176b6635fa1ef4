"""Lists what a sweep downloads at its first start, without importing torch."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo
from raycal.data.download import checkpoints_dir
from raycal.networks import IMAGENET, networks


class Download(NamedTuple):
    """A file or dataset that is not on this machine.

    Attributes:
        what: Its name in words.
        url: The URL it is fetched from.
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
