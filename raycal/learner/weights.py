"""The weights from which every iteration starts: published weights, weights from a file, or none."""

import hashlib
import os
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.hub import load_state_dict_from_url

from raycal.data.download import checkpoints_dir, download
from raycal.errors import InputError, one_line, shortened
from raycal.home import expand_home
from raycal.learner.network import head_of, new_network
from raycal.networks import IMAGENET, PRETRAINED, networks
from raycal.networks.registry import REASON_LENGTH, no_download

StateDict = dict[str, Tensor]
# The keys under which programs put the state dict of a network into a file that also holds other things.
_NESTED = ("state_dict", "model")
_BYTEARRAY, _NO_STATE = b"bytearray", "it holds a bytearray, which no state dict does"


def load_weights(
    weights: str, network: str = "resnet18", options: Mapping[str, Any] | None = None, image_size: int | None = None
) -> StateDict | None:
    """The backbone of a network as float32, without its head. None if there are no weights to load.

    Args:
        weights: `imagenet` or `pretrained` (downloaded once), `none`, or the path of a file with a state dict in any
            float format, as torch or safetensors writes it.
        network: The name of the network in the registry.
        options: The options of the network.
        image_size: The side of the images in pixels, to which the weights of some networks must be adapted.

    Raises:
        InputError: The weights cannot be downloaded or read, or belong to another network.
    """
    if weights == "none":
        return None
    if weights == IMAGENET:
        state = _download(network)
    elif weights == PRETRAINED:
        state = _download_by_library(network, image_size)
    else:
        state = _read(weights)
    return _backbone(state, network, options or {}, weights, image_size)


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """The SHA-256, in hexadecimal, of the names and values of all tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def _download(network: str) -> Mapping[str, Any]:
    record: dict[str, Any] = {}
    published, folder = networks.facts(network).imagenet, checkpoints_dir()
    if published is None:
        raise InputError(f"model.weights: imagenet: no weights are published for {network}; give a file, or none")
    url = published.url

    def fetch() -> None:
        record.update(
            load_state_dict_from_url(
                url, model_dir=str(folder), map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
        )

    download(
        folder,
        fetch,
        name="model.weights: imagenet",
        instead=f"give the path of a state dict of {network}, or none",
    )
    return record


def _download_by_library(network: str, image_size: int | None) -> Mapping[str, Any]:
    published = networks.facts(network).pretrained
    if published is None:
        raise InputError(f"model.weights: pretrained: no weights are published for {network}; give a file, or none")
    try:
        return published.load(image_size)
    except Exception as error:  # libraries fail in many ways when there is no network
        raise InputError(no_download(network, published, error)) from error


def _read(path: str) -> Mapping[str, Any]:
    file = expand_home(path)
    try:
        with open(file, "rb") as content:
            if is_safetensors(content):
                return _read_safetensors(path)
            if bomb := bomb_in(content):
                raise InputError(f"model.weights: {path}: {bomb}; save it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"model.weights: {path}: {error.strerror or error}") from error
    except Exception as error:  # bytes that are not a state dict can fail in many ways
        raise InputError(
            f"model.weights: {path}: not a state dict saved by torch.save ({type(error).__name__}); "
            "code in such files is never run"
        ) from error
    if isinstance(state, Mapping):
        state = next((state[key] for key in _NESTED if isinstance(state.get(key), Mapping)), state)
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise InputError(f"model.weights: {path}: should hold a state dict, which maps names to tensors")
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"model.weights: {path}: should hold a state dict, which maps names to tensors,"
                f" but {name} is not a tensor"
            )
        if value.layout is not torch.strided or value.is_meta or value.is_quantized or value.is_complex():
            raise InputError(f"model.weights: {path}: {name} is not a plain numeric tensor")
    return state


def is_safetensors(content: BinaryIO) -> bool:
    """Whether a file begins as safetensors writes it: the length of a JSON object, and the object."""
    content.seek(0)
    start = content.read(9)
    content.seek(0, os.SEEK_END)
    size = content.tell()
    content.seek(0)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def _read_safetensors(path: str) -> Mapping[str, Any]:
    from safetensors.torch import load_file

    try:
        state: Mapping[str, Any] = load_file(expand_home(path))
    except Exception as error:  # a damaged file can fail in many ways
        words = shortened(one_line(error), REASON_LENGTH)
        raise InputError(f"model.weights: {path}: not a file that safetensors can read ({words})") from error
    return state


def bomb_in(content: BinaryIO) -> str | None:
    """The reason why loading a file of torch.save would take far more memory than the size of the file. None if loading
    would not take so much memory.

    `torch.load(weights_only=True)` unpacks compressed archives, though torch.save writes none, and makes bytearrays of
    any length.
    """
    if not zipfile.is_zipfile(content):
        content.seek(0)
        return _NO_STATE if _BYTEARRAY in content.read() else None
    with zipfile.ZipFile(content) as archive:
        for member in archive.infolist():
            if member.file_size > member.compress_size:
                return f"{member.filename} is compressed, which torch.save never does"
            if member.filename.endswith(".pkl") and _BYTEARRAY in archive.read(member):
                return _NO_STATE
    return None


def _backbone(
    state: Mapping[str, Tensor], network: str, options: Mapping[str, Any], source: str, image_size: int | None
) -> StateDict:
    """The tensors of `state` that make up the network without its head.

    Raises:
        InputError: A tensor is missing, unknown, of another shape or not finite.
    """
    facts, made = (
        networks.facts(network),
        new_network(network, 1, np.random.default_rng(0), options, image_size=image_size),
    )
    prefix, _ = head_of(made)
    left_out = (prefix, *(f"{path}." for path in facts.classifiers))
    expected = {name: value for name, value in made.state_dict().items() if not name.startswith(prefix)}
    tensors_of = {name.removeprefix("module."): value for name, value in state.items()}
    tensors_of = {name: value for name, value in tensors_of.items() if not name.startswith(left_out)}
    wrong = _misfits(tensors_of, expected)
    if wrong and facts.adapted is not None:
        with suppress(InputError):
            adapted = facts.adapted(tensors_of, made)
            adapted = {name: value for name, value in adapted.items() if not name.startswith(left_out)}
            if not _misfits(adapted, expected):
                wrong, tensors_of = [], adapted
    if wrong:
        raise InputError(
            f"model.weights: {source}: not the weights of the network {network}: "
            f"{len(wrong)} tensors are missing, unknown or of another shape, the first is {wrong[0]}"
        )
    tensors = {name: tensors_of.get(name, expected[name]).to(expected[name].dtype) for name in expected}
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(f"model.weights: {source}: {broken[0]} holds values that are not finite")
    return tensors


def _misfits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that are missing, unknown or of another shape."""
    missing = {name for name in expected if name not in state and not name.endswith("num_batches_tracked")}
    other = {name for name in state if name not in expected or state[name].shape != expected[name].shape}
    return sorted(missing | other)
