"""The folder with the files of a model of sentence-transformers, which may be a download from Hugging Face."""

import json
import re
from pathlib import Path
from typing import Any

from raycal.errors import InputError, one_line, shortened
from raycal.home import expand_home

ORGANIZATION = "sentence-transformers"
# A name on Hugging Face, with or without the organization, and optionally a revision.
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@\w[\w./-]*)?")
# The files of a model that raycal reads. Weights in the formats of pickle, ONNX and others are never downloaded.
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_NO_FILES = ("onnx/*", "openvino/*")
MODULES, WEIGHTS = "modules.json", "model.safetensors"
_MAX_JSON_BYTES = 2**20
_REASON_LENGTH = 200
# The modules that a model may consist of: first a module of `_READERS`, which reads tokens, then any number of modules
# of `_OTHERS`. All other modules are refused, because they run code that the author of the model has chosen, or do not
# read tokens.
_READERS, _OTHERS = ("Transformer", "StaticEmbedding"), ("Pooling", "Normalize", "Dense", "LayerNorm", "Dropout")
_WITH_WEIGHTS = (*_READERS, "Dense", "LayerNorm")


def is_folder(rest: str) -> bool:
    """Whether the rest of a network's name is a path, such as `./my-model`, and not a name on Hugging Face."""
    return rest in (".", "..") or rest.startswith(("./", "../", "/", "~"))


def is_repository(rest: str) -> bool:
    """Whether the rest of a network's name can be a name on Hugging Face."""
    return _REPOSITORY.fullmatch(rest) is not None


def repository(rest: str) -> str:
    """The name of the repository on Hugging Face, with its organization and without a revision."""
    name = rest.partition("@")[0]
    return name if "/" in name else f"{ORGANIZATION}/{name}"


def is_here(rest: str) -> bool:
    """Whether the model is on this machine, so that nothing needs to be downloaded."""
    try:
        model_folder(rest, local_files_only=True)
    except InputError:
        return False
    return True


def model_folder(rest: str, *, local_files_only: bool = False) -> Path:
    """The folder with the files of a model; a model on Hugging Face is downloaded unless it is on this machine.

    Args:
        rest: The rest of the network's name, which is a path or a name on Hugging Face.
        local_files_only: Whether nothing may be downloaded.

    Raises:
        InputError: There is no such folder, or the model cannot be downloaded.
    """
    if is_folder(rest):
        return Path(expand_home(rest)).absolute()
    name, revision = repository(rest), rest.partition("@")[2]
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        folder = snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=list(_FILES),
            ignore_patterns=list(_NO_FILES),
            local_files_only=local_files_only,
        )
    except RepositoryNotFoundError as error:
        raise InputError(f"{name}: Hugging Face has no such model, or it is private") from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name}: has no revision {revision}") from error
    except LocalEntryNotFoundError as error:
        raise InputError(f"{name} is not on this machine, and huggingface.co cannot be reached") from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = shortened(one_line(error), _REASON_LENGTH) or type(error).__name__
        raise InputError(f"{name}: the download from Hugging Face failed ({reason})") from error
    check_model_folder(Path(folder), name=name)
    return Path(folder)


def check_model_folder(folder: Path, *, name: str = "") -> None:
    """Refuse a folder without a model, and a model with weights or code that raycal does not load.

    Args:
        folder: The folder.
        name: The name of the model in messages. Without it, the folder is named.

    Raises:
        InputError: The folder cannot be used.
    """
    name = name or str(folder)
    if not folder.is_dir():
        raise InputError(f"{name}: {'a file, not a folder' if folder.is_file() else 'no such folder'}")
    if not (folder / MODULES).is_file():
        raise InputError(
            f"{name}: has no {MODULES}; give a folder that SentenceTransformer.save_pretrained has written"
        )
    modules = _json(folder / MODULES, name)
    try:
        parts = [(str(module["type"]), str(module["path"])) for module in modules]
    except (TypeError, KeyError) as error:
        raise InputError(f"{name}: {MODULES} is not a list of modules, each with its type and path") from error
    if not parts:
        raise InputError(f"{name}: {MODULES} names no module")
    for number, (kind, path) in enumerate(parts):
        package, _, cls = kind.rpartition(".")
        allowed = _OTHERS if number else _READERS
        if cls not in allowed or package.partition(".")[0] != "sentence_transformers":
            raise InputError(
                f"{name}: its module {number + 1} is {kind}, and raycal uses only {', '.join(allowed)} there"
            )
        place = folder / path
        if not place.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{name}: the path of its module {number + 1} leads out of the folder")
        if (place / "adapter_config.json").exists():
            raise InputError(f"{name}: is an adapter of another model; merge it into that model and save it again")
        if cls in _WITH_WEIGHTS and not list(place.glob("*.safetensors")):
            what = f"{path}/{WEIGHTS}" if path else WEIGHTS
            why = "; weights in .bin files are not loaded" if list(place.glob("*.bin")) else ""
            raise InputError(f"{name}: has no {what}{why}; save the model again with safe_serialization=True")


def _json(path: Path, name: str) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{name}: {path.name} cannot be read ({shortened(one_line(error), _REASON_LENGTH)})"
        ) from error
