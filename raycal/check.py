"""What can be known to be wrong before anything starts, all of it at once."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase

from raycal import build
from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo
from raycal.errors import InputError


def select(
    experiments: Mapping[str, ExperimentConfig], pattern: str | None, labels: Mapping[str, str] | None = None
) -> dict[str, ExperimentConfig]:
    """The experiments whose id or label matches; all without a pattern.

    Raises:
        InputError: None matches.
    """
    if pattern is None:
        return dict(experiments)
    names = {key: [key, *([labels[key]] if labels and key in labels else [])] for key in experiments}
    selected = {
        key: config
        for key, config in experiments.items()
        if any(fnmatchcase(name, pattern) or name == pattern for name in names[key])
    }
    if not experiments:
        raise InputError(f"--only {pattern}: the trials of this sweep are not known before it runs")
    if not selected:
        raise InputError(f"--only {pattern}: matches none of the {len(experiments)} trials; --dry-run lists them")
    return selected


def check(experiments: Mapping[str, ExperimentConfig]) -> dict[str, DatasetInfo]:
    """The size of each experiment's dataset, without decoding an image.

    Raises:
        InputError: With every dataset and every weights file that cannot be used.
    """
    problems: dict[str, None] = {}
    infos: dict[str, DatasetInfo] = {}
    known: dict[str, DatasetInfo | InputError] = {}
    for experiment_id, config in experiments.items():
        key = build.dataset_key(config)
        if key not in known:
            known[key] = _inspect(config)
        found = known[key]
        if isinstance(found, InputError):
            problems |= dict.fromkeys(found.problems)
        else:
            infos[experiment_id] = found
        if (wrong := _wrong_with(config.model.weights)) is not None:
            problems[f"experiment.model.weights: {wrong}"] = None
    if problems:
        raise InputError(*problems)
    return infos


def _inspect(config: ExperimentConfig) -> DatasetInfo | InputError:
    try:
        return build.dataset(config).inspect()
    except InputError as error:
        return error


def _wrong_with(weights: str) -> str | None:
    """What can be seen of a file of weights without reading it; None: nothing is wrong."""
    if weights in ("imagenet", "none"):
        return None
    path = os.path.expanduser(weights)
    if os.path.isdir(path):
        return f"{weights}: a folder; give the file with the state dict (or imagenet, or none)"
    if not os.path.isfile(path):
        return f"{weights or repr(weights)}: no such file (or imagenet, or none)"
    if not os.access(path, os.R_OK):
        return f"{weights}: no permission to read it"
    if not os.path.getsize(path):
        return f"{weights}: an empty file; give a state dict saved by torch.save (or imagenet, or none)"
    return None
