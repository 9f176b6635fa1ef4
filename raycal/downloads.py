"""What a sweep downloads at its first start, known without importing torch and without asking a network for long."""

from collections.abc import Iterable, Mapping
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from raycal.config import NETWORKS, ExperimentConfig
from raycal.data import DatasetInfo
from raycal.data.download import checkpoints_dir

WEIGHTS_URL = "https://download.pytorch.org/models/"


class Download(NamedTuple):
    """Something that is not on this machine.

    Attributes:
        what: In words.
        url: Where it is fetched from.
        instead: What to do without a network.
    """

    what: str
    url: str
    instead: str

    def __str__(self) -> str:
        return f"{self.what}: is not on this machine and will be downloaded from {self.host}; offline {self.instead}"

    @property
    def host(self) -> str:
        """The name of the server."""
        return urlsplit(self.url).netloc


def downloads(experiments: Iterable[ExperimentConfig], infos: Mapping[str, DatasetInfo]) -> list[Download]:
    """What the experiments need and this machine has not, each once.

    Args:
        infos: Of the experiments' datasets, by experiment id.
    """
    needed: dict[Download, None] = {}
    for config in experiments:
        info = infos.get(config.experiment_id)
        if info is not None and info.download:
            needed[Download(config.dataset.name, info.download, f"put it into {info.download_to}")] = None
        if lacks_weights(config):
            network = NETWORKS[config.model.name]
            what = f"model.weights: imagenet of {config.model.name} ({network.weights_mb} MB)"
            instead = f"put {network.weights_file} into {checkpoints_dir()}, or give a file as model.weights"
            needed[Download(what, WEIGHTS_URL + network.weights_file, instead)] = None
    return list(needed)


def lacks_weights(config: ExperimentConfig) -> bool:
    """Whether the weights of an experiment would be downloaded, as they are not on this machine."""
    weights_file = NETWORKS[config.model.name].weights_file
    return config.model.weights == "imagenet" and not (checkpoints_dir() / weights_file).is_file()


def why_unreachable(url: str, seconds: float) -> str:
    """Why the server of a URL does not answer, asked through the proxy that is set; empty when it does."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=seconds).close()
    except HTTPError:  # which is an answer
        return ""
    except (OSError, HTTPException, ValueError) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""
