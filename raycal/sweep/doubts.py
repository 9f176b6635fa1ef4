"""Finds, before a sweep starts, settings that are allowed but make the sweep pointless or its results weak."""

from collections.abc import Iterator, Mapping
from math import ceil

from raycal.config import ExperimentConfig
from raycal.data import DatasetInfo
from raycal.errors import counted

FEWEST_STEPS = 30  # A training of fewer optimizer steps hardly moves the weights.


def doubts(experiments: Mapping[str, ExperimentConfig], infos: Mapping[str, DatasetInfo]) -> list[str]:
    """One line for each doubtful setting, however many experiments have it.

    Args:
        experiments: The experiments by id.
        infos: The dataset of each experiment, by experiment id.
    """
    lines: dict[str, None] = {}
    for key, config in experiments.items():
        if key in infos:
            lines |= dict.fromkeys(_of(config, infos[key]))
    return list(lines)


def _of(config: ExperimentConfig, info: DatasetInfo) -> Iterator[str]:
    if info.num_classes == 1:
        yield f"all {info.kind} of {info.name} are of one class, so every model is right about all of them"
        return
    if config.resolved_scenario.whole_pool:
        yield from _few_steps(config, info.num_train, "the whole pool")
        return
    yield from _too_many_interactions(config, info)
    if not config.resolved_scenario.forms_clusters:
        labels = min(config.interactions_per_iteration, info.num_train)
        yield from _few_steps(config, labels, "the first iteration")
    elif config.training.stop != "epochs":  # Nobody knows beforehand how many labels the clusters give.
        yield from _fixed_steps(config)


def _too_many_interactions(config: ExperimentConfig, info: DatasetInfo) -> Iterator[str]:
    each, planned, pool = config.interactions_per_iteration, config.iterations, info.num_train
    if each * planned <= pool:
        return
    yield (
        f"{each * planned:,} interactions are planned (iterations: {planned:,}, interactions_per_iteration: {each:,}), "
        f"more than the {pool:,} training {info.kind} of {info.name}: a strategy that labels single {info.kind} ends "
        f"after iteration {ceil(pool / each):,}, when all of them have a label"
    )


def _few_steps(config: ExperimentConfig, labels: int, of: str) -> Iterator[str]:
    """Yield a line for each doubtful setting of a training on this number of labels.

    Args:
        of: The origin of the labels in words.
    """
    training = config.training
    if training.batch_size > labels:
        yield (
            f"training.batch_size is {training.batch_size:,}, more than the {counted(labels, 'label')} of {of}: "
            "each pass over them is a single optimizer step"
        )
    if training.stop != "epochs":
        yield from _fixed_steps(config)
        return
    batches = ceil(labels / training.batch_size)
    steps = training.epochs * batches
    if steps < FEWEST_STEPS:
        yield (
            f"a training on the labels of {of} takes only {counted(steps, 'optimizer step')} "
            f"({counted(training.epochs, 'epoch')} of {_batches(batches)}), too few to learn much: "
            "raise training.epochs"
        )


def _fixed_steps(config: ExperimentConfig) -> Iterator[str]:
    """Yield a line if `training.steps` is too small, whatever the number of labels."""
    steps = config.training.steps
    if steps is not None and steps < FEWEST_STEPS:
        yield (f"a training takes only {counted(steps, 'optimizer step')}, too few to learn much: raise training.steps")


def _batches(number: int) -> str:
    return "1 batch" if number == 1 else f"{number:,} batches"
