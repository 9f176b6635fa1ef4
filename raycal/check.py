"""What can be known to be wrong before anything starts, all of it at once."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from raycal import build
from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo
from raycal.errors import InputError, printable
from raycal.files import Folder
from raycal.home import expand_home
from raycal.labels import dataset_names


def select(
    experiments: Mapping[str, ExperimentConfig], patterns: Sequence[str], labels: Mapping[str, str] | None = None
) -> dict[str, ExperimentConfig]:
    """The experiments whose id or label matches any of the patterns; all of them without a pattern.

    Raises:
        InputError: A pattern matches none.
    """
    if not patterns:
        return dict(experiments)
    if not experiments:
        raise InputError(
            *(f"--only {pattern}: the trials of this sweep are not known before it runs" for pattern in patterns)
        )
    names = {key: [key, *([labels[key]] if labels and key in labels else [])] for key in experiments}

    def matches(key: str, pattern: str) -> bool:
        return any(fnmatchcase(name, pattern) or name == pattern for name in names[key])

    idle = [pattern for pattern in patterns if not any(matches(key, pattern) for key in experiments)]
    if idle:
        count = len(experiments)
        said = "does not match the only trial" if count == 1 else f"matches none of the {count} trials"
        raise InputError(*(f"--only {pattern}: {said}; --dry-run lists them" for pattern in idle))
    return {key: config for key, config in experiments.items() if any(matches(key, pattern) for pattern in patterns)}


def check(
    experiments: Mapping[str, ExperimentConfig], among: Mapping[str, ExperimentConfig] | None = None
) -> dict[str, DatasetInfo]:
    """The classes and sizes of each experiment's dataset, without decoding an image.

    Args:
        experiments: Those to check.
        among: All experiments of the sweep, whose datasets need different names; None: the same.

    Raises:
        InputError: With every dataset and every weights file that cannot be used.
    """
    problems: dict[str, None] = {}
    infos: dict[str, DatasetInfo] = {}
    known: dict[str, DatasetInfo | InputError] = {}
    whole = {**(among or {}), **experiments}
    names = dict(zip(whole, dataset_names(list(whole.values())), strict=True))
    for experiment_id, config in experiments.items():
        key = build.dataset_key(config)
        if key not in known:
            known[key] = _inspect(config)
        found = known[key]
        if isinstance(found, InputError):
            problems |= dict.fromkeys(found.problems)
        else:
            infos[experiment_id] = replace(found, name=names[experiment_id])
        if (wrong := _wrong_with(config.model.weights)) is not None:
            problems[f"experiment.model.weights: {wrong}"] = None
    if problems:
        raise InputError(*problems)
    return infos


def describe(infos: Iterable[DatasetInfo]) -> list[str]:
    """A line for each dataset with its classes and sizes, and a line below it for every note on how it was read."""
    lines: dict[str, None] = {}
    for info in infos:
        lines |= dict.fromkeys((f"images  {info}", *(printable(f"        {note}") for note in info.notes)))
    return list(lines)


def check_apart(infos: Iterable[DatasetInfo], storage: Folder) -> None:
    """Refuse a storage in a folder of images, whose pictures would become images, and images in the storage.

    Raises:
        InputError: With every folder of images that is not apart from the storage.
    """
    if not storage.is_local:
        return
    place = Path(storage.path)
    problems = []
    for images in dict.fromkeys(info.folder for info in infos if info.folder is not None):
        if _lies_in(place, images):
            problems.append(
                f"--storage: {place} lies in the folder of the images, {images}, where results would be read as images;"
                " give a --storage outside of it"
            )
        elif _lies_in(images, place):
            problems.append(
                f"--storage: {place} holds the folder of the images, {images}, where results and images would mix;"
                " give a --storage beside it"
            )
    if problems:
        raise InputError(*problems)


def _lies_in(inner: Path, outer: Path) -> bool:
    """Whether a folder is another one or lies in it, through whatever links; the inner one need not exist."""
    try:
        wanted = outer.stat()
    except OSError:
        return False
    resolved = inner.resolve()
    for folder in (resolved, *resolved.parents):
        with suppress(OSError):
            if os.path.samestat(folder.stat(), wanted):
                return True
    return False


def _inspect(config: ExperimentConfig) -> DatasetInfo | InputError:
    try:
        return build.dataset(config).inspect()
    except InputError as error:
        return error


def _wrong_with(weights: str) -> str | None:
    """What can be seen of a file of weights without reading it; None: nothing is wrong."""
    if weights in ("imagenet", "none"):
        return None
    try:
        path = expand_home(weights)
    except InputError as error:
        return str(error)
    if os.path.isdir(path):
        return f"{weights}: a folder; give the file with the state dict (or imagenet, or none)"
    if not os.path.isfile(path):
        return f"{weights or repr(weights)}: no such file (or imagenet, or none)"
    if not os.access(path, os.R_OK):
        return f"{weights}: no permission to read it"
    if not os.path.getsize(path):
        return f"{weights}: an empty file; give a state dict saved by torch.save (or imagenet, or none)"
    return None
