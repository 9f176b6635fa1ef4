"""Finds what is wrong with a sweep before anything starts, and reports all problems at once."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from raycal.config import ExperimentConfig
from raycal.config.component import NetworkConfig, published_weights, weights_setting
from raycal.config.dataset_names import dataset_names
from raycal.config.labels import is_long_label
from raycal.config.people import asks_people
from raycal.data import DatasetInfo
from raycal.errors import InputError, printable
from raycal.experiment import build
from raycal.home import expand_home
from raycal.networks import IMAGENET, PRETRAINED
from raycal.storage.folder import Folder

NEAREST = 3  # A message suggests this number of names.
MOST_COMPARED = (
    2000  # At most this many names are compared with a pattern; each comparison takes a fraction of a millisecond.
)


def select(
    experiments: Mapping[str, ExperimentConfig], patterns: Sequence[str], labels: Mapping[str, str] | None = None
) -> dict[str, ExperimentConfig]:
    """The experiments whose id or label matches any of the patterns; all experiments if there is no pattern.

    A pattern may also be a longer label, which also names settings that do not vary in this sweep.

    Args:
        experiments: The experiments by id.
        patterns: The patterns of `--only`.
        labels: The label of each experiment, by id.

    Raises:
        InputError: A pattern matches no experiment.
    """
    if not patterns:
        return dict(experiments)
    if not experiments:
        raise InputError(
            *(f"--only {pattern}: the trials of this sweep are not known before it runs" for pattern in patterns)
        )
    names = {key: [key, *([labels[key]] if labels and key in labels else [])] for key in experiments}

    def matches(key: str, pattern: str) -> bool:
        if any(fnmatchcase(name, pattern) or name == pattern for name in names[key]):
            return True
        return len(names[key]) > 1 and is_long_label(pattern, names[key][1], experiments[key])

    idle = [pattern for pattern in patterns if not any(matches(key, pattern) for key in experiments)]
    if idle:
        count = len(experiments)
        said = "does not match the only trial" if count == 1 else f"matches none of the {count} trials"
        raise InputError(
            *(f"--only {pattern}: {said}{_nearest(pattern, names)}; --dry-run lists them" for pattern in idle)
        )
    return {key: config for key, config in experiments.items() if any(matches(key, pattern) for pattern in patterns)}


def _nearest(pattern: str, names: Mapping[str, Sequence[str]]) -> str:
    """The labels of the trials whose id or label is most like the pattern, as the end of a line. A trial without a
    label is named by its id.

    Args:
        names: The id of each trial and, if it has one, its label.
    """
    called = {name: all_names[-1] for all_names in names.values() for name in all_names}
    nearest = get_close_matches(pattern.replace("*", ""), list(called)[:MOST_COMPARED], n=NEAREST, cutoff=0.4)
    shown = dict.fromkeys(f"'{called[name]}'" for name in nearest)
    return f"; the nearest: {', '.join(shown)}" if shown else ""


def inspect_dataset(config: ExperimentConfig) -> DatasetInfo:
    """The classes and sizes of the dataset of an experiment at its first start."""
    return build.dataset(config).inspect()


def check(
    experiments: Mapping[str, ExperimentConfig],
    among: Mapping[str, ExperimentConfig] | None = None,
    inspect: Callable[[ExperimentConfig], DatasetInfo] = inspect_dataset,
) -> dict[str, DatasetInfo]:
    """Inspect the classes and sizes of each experiment's dataset, by experiment id, without decoding an image.

    Args:
        experiments: The experiments to check.
        among: All experiments of the sweep; the names of their datasets must differ. None means `experiments`.
        inspect: Inspects the dataset of an experiment.

    Raises:
        InputError: Datasets or weights files cannot be used, or a dataset has no labels for the expert; there is a line
            for each problem.
    """
    problems: dict[str, None] = {}
    infos: dict[str, DatasetInfo] = {}
    known: dict[str, DatasetInfo | InputError] = {}
    whole = {**(among or {}), **experiments}
    names = dict(zip(whole, dataset_names(list(whole.values())), strict=True))
    for experiment_id, config in experiments.items():
        key = build.dataset_key(config)
        if key not in known:
            known[key] = _inspected(config, inspect)
        inspected = known[key]
        if isinstance(inspected, InputError):
            problems |= dict.fromkeys(inspected.problems)
        else:
            infos[experiment_id] = replace(inspected, name=names[experiment_id])
            if not inspected.num_classes and not asks_people(config):
                problems[build.needs_labels(config)] = None
        for network in config.networks:
            if (wrong := _wrong_with(network)) is not None:
                problems[f"experiment.{weights_setting(network)}: {wrong}"] = None
    # Experiments with the same network are checked once, because the network is built for the check.
    for config in {(str(each.model), each.training.image_size): each for each in experiments.values()}.values():
        if (wrong := build.wrong_with_frozen(config)) is not None:
            problems[f"experiment.model.frozen: {wrong}"] = None
    if problems:
        raise InputError(*problems)
    return infos


def describe(infos: Iterable[DatasetInfo]) -> list[str]:
    """A line for each dataset with its classes and sizes, followed by a line for every note and warning."""
    lines: dict[str, None] = {}
    for info in infos:
        below = (*info.notes, *(f"warning: {warning}" for warning in info.warnings))
        lines |= dict.fromkeys((f"{info.kind:<7} {info}", *(printable(f"        {line}") for line in below)))
    return list(lines)


def check_apart(infos: Iterable[DatasetInfo], storage: Folder) -> None:
    """Refuse a storage inside a folder of images, and a folder of images inside the storage.

    In the first case, the pictures that raycal writes into the storage would be read as images of the dataset.

    Raises:
        InputError: A folder of images and the storage are not separate; there is a line for each such folder.
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
    """Whether a folder is or lies in another folder, also through links; the inner folder need not exist."""
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


def _inspected(
    config: ExperimentConfig, inspect: Callable[[ExperimentConfig], DatasetInfo]
) -> DatasetInfo | InputError:
    try:
        return inspect(config)
    except InputError as error:
        return error


def _wrong_with(model: NetworkConfig) -> str | None:
    """The problem with a weights file, as far as it can be found without reading the file. None if no problem was
    found."""
    weights, published = model.weights, published_weights(model.name)
    if weights in (IMAGENET, PRETRAINED, "none"):
        return None
    try:
        path = expand_home(weights)
    except InputError as error:
        return str(error)
    if os.path.isdir(path):
        return f"{weights}: a folder; give the file with the state dict (or {published}, or none)"
    if not os.path.isfile(path):
        return f"{weights or repr(weights)}: no such file (or {published}, or none)"
    if not os.access(path, os.R_OK):
        return f"{weights}: no permission to read it"
    if not os.path.getsize(path):
        return f"{weights}: an empty file; give a state dict saved by torch.save (or {published}, or none)"
    return None
