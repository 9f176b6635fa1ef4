"""Names of datasets: the registered ones, or those of the user's folders and files."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from raycal.config import ExperimentConfig

IMAGE_FOLDER = "image_folder"
# The datasets whose option `root` is the user's own folder of images.
IMAGE_FOLDERS = (IMAGE_FOLDER, "images")
# The option by which a dataset finds the user's data, for the datasets that are named after it.
PLACE_OPTIONS = {
    **dict.fromkeys(IMAGE_FOLDERS, "root"),
    "manifest": "file",
    "embeddings": "file",
    "text": "file",
    "huggingface": "path",
}
# Names of folders that hold one split of a dataset. The folder above then gives the dataset its name.
_SPLITS = {"train", "training", "test", "val", "valid", "validation"}
# Folder names that say nothing about the images in them, and places where people mount disks.
_GENERIC = _SPLITS | {
    *("split", "splits", "raw", "all", "image", "images", "img", "imgs"),
    *("jpg", "jpeg", "png", "photos", "pictures"),
    *("data", "dataset", "datasets", "classes", "files", "input", "inputs"),
    *("", "/", ".", "..", "~", "home", "root", "users", "mnt", "media", "tmp", "srv", "var", "opt", "workspace"),
}


def dataset_names(experiments: Sequence[ExperimentConfig]) -> list[str]:
    """The name of each experiment's dataset.

    Every place that names a dataset asks this function or `dataset_labels`. A folder of the user's images goes by its
    own name. A folder that holds one split, such as `train`, goes by the name of the folder above it: `birds` stands
    for `~/birds` and for `~/birds/train`. If a name says nothing about the images, the folders above it are added, up
    to the first one that says something: `nc/data` stands for `/disk/nc/data`. Several folders of the same name are
    distinguished in the same way.
    """
    short = _folder_names({place for config in experiments if (place := data_place(config)) is not None})
    return [config.dataset.name if (place := data_place(config)) is None else short[place] for config in experiments]


def dataset_labels(experiments: Sequence[ExperimentConfig], names: Sequence[str] | None = None) -> list[str]:
    """The name of each experiment's dataset, with the options that distinguish it from other datasets of the same name.

    Args:
        names: The names of the datasets without their options. None means the names that `dataset_names` gives.
    """
    names = dataset_names(experiments) if names is None else names
    variants: dict[str, dict[str, dict[str, str]]] = {}
    for name, config in zip(names, experiments, strict=True):
        options = {key: str(value) for key, value in config.dataset.options.items() if not _is_place_of(config, key)}
        variants.setdefault(name, {})[config.dataset.model_dump_json()] = options
    return [
        _with_options(name, variants[name], config.dataset.model_dump_json())
        for name, config in zip(names, experiments, strict=True)
    ]


def _with_options(name: str, variants: Mapping[str, Mapping[str, str]], own: str) -> str:
    keys = dict.fromkeys(key for options in variants.values() for key in options)
    differing = [key for key in keys if len({options.get(key) for options in variants.values()}) > 1]
    words = ", ".join(f"{key}={variants[own][key]}" for key in differing if key in variants[own])
    return f"{name} ({words})" if words else name


def image_root(config: ExperimentConfig) -> str | None:
    """The user's folder of images that an experiment reads, as the sweep file gives it; None for another dataset."""
    root = config.dataset.options.get("root")
    return str(root) if config.dataset.name in IMAGE_FOLDERS and root is not None else None


def data_place(config: ExperimentConfig) -> str | None:
    """The user's folder or file that a dataset is named after, as the sweep file gives it. None for a dataset that is
    named by its registered name."""
    place = config.dataset.options.get(PLACE_OPTIONS.get(config.dataset.name, ""))
    return None if place is None else str(place)


def _is_place_of(config: ExperimentConfig, option: str) -> bool:
    return PLACE_OPTIONS.get(config.dataset.name) == option


def dataset_name(config: ExperimentConfig) -> str:
    """The name of the dataset of one experiment, if no other dataset has to be distinguished from it."""
    place = data_place(config)
    return config.dataset.name if place is None else _folder_names({place})[place]


def _folder_names(roots: Collection[str]) -> dict[str, str]:
    """The name of each folder, with as many of the folders above it as are needed to distinguish it from the others."""
    names: dict[str, str] = {}
    paths = {root: _parts(root) for root in sorted(roots)}
    for root, parts in paths.items():
        kept = parts[:-1] if parts[-1].lower() in _SPLITS and _says_something(parts[:-1]) else parts
        others = [other for other in paths.values() if other != parts]
        end = next((at for at in reversed(range(len(kept))) if kept[at].lower() not in _GENERIC), 0)
        tails = (kept[at:] for at in range(end, -1, -1))
        names[root] = "/".join(next((tail for tail in tails if not _is_end_of_any(tail, others)), parts))
    return names


def _is_end_of_any(tail: tuple[str, ...], paths: Sequence[tuple[str, ...]]) -> bool:
    """Whether one of the paths could have this name: the path ends with it, with or without the folder of its split."""
    return any(
        path[-len(tail) :] == tail or (path[-1].lower() in _SPLITS and path[:-1][-len(tail) :] == tail)
        for path in paths
    )


def _says_something(parts: Sequence[str]) -> bool:
    return any(part.lower() not in _GENERIC for part in parts)


def _parts(root: str) -> tuple[str, ...]:
    """The folders of a path, the outermost first. If the path has no named folder, the only element is
    `IMAGE_FOLDER`."""
    return tuple(part for part in PurePosixPath(root).parts if part not in ("/", ".", "~")) or (IMAGE_FOLDER,)
