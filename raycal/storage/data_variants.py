"""Compares the images and weights that the trials of a dataset read, by what each trial recorded when it ran."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from raycal.config import ExperimentConfig


class RunInputs(NamedTuple):
    """The configuration of one trial, and the content of its `environment.json`. The content is empty if the trial has
    not run."""

    config: ExperimentConfig
    environment: Mapping[str, Any]


def data_variants(trials: Sequence[RunInputs]) -> list[str]:
    """Names the data that each trial read: `data 1`, `data 2` and so on if the data differ within a dataset, and
    otherwise an empty text.

    Trials of an earlier version of raycal, which recorded too little to compare, count as the first variant.
    """
    by_dataset: dict[str, list[int]] = {}
    for row, trial in enumerate(trials):
        by_dataset.setdefault(trial.config.dataset.model_dump_json(), []).append(row)
    variants = [""] * len(trials)
    for rows in by_dataset.values():
        some = [trials[row] for row in rows]
        complete = _all_complete(some)
        read = list(zip([_images(trial, complete=complete) for trial in some], _weights(some), strict=True))
        known = list(dict.fromkeys(pair for pair in read if pair[0] is not None))
        if len(known) > 1:
            for row, pair in zip(rows, read, strict=True):
                variants[row] = f"data {known.index(pair) + 1 if pair in known else 1}"
    return variants


def _all_complete(trials: Iterable[RunInputs]) -> bool:
    """Whether the splits of every trial use all images of the dataset, so that all seeds use the same images."""
    recorded = [facts for trial in trials if (facts := trial.environment.get("dataset")) and "num_listed" in facts]
    return all(facts["num_train"] + facts["num_test"] == facts["num_listed"] for facts in recorded)


def _images(trial: RunInputs, *, complete: bool) -> str | None:
    """The digest by which the trial's data can be compared with the data of other seeds. None if there is no digest."""
    recorded = trial.environment.get("dataset", {})
    digest: str | None = recorded.get("images" if complete else "listing")
    return digest


def _weights(trials: Sequence[RunInputs]) -> list[int]:
    """For each trial, the number of the weights that it read. Weights of the same network and source name are numbered
    from 0."""
    seen: dict[str, list[str]] = {}
    numbers = []
    for config, environment in trials:
        digest = environment.get("weights")
        known = seen.setdefault(config.model.model_dump_json(exclude={"frozen"}), [])
        if digest is not None and digest not in known:
            known.append(digest)
        numbers.append(0 if digest is None else known.index(digest))
    return numbers
