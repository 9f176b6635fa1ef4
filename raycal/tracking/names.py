"""Names the trials of a sweep, their datasets, and the conditions that their charts tell apart."""

from collections.abc import Sequence
from typing import NamedTuple

from raycal.config.dataset_names import dataset_labels, dataset_names
from raycal.config.labels import condition_labels, trial_labels
from raycal.storage.sweep_dir import SweepPlan


class Names(NamedTuple):
    """The names of a trial in its sweep. All names are None for a trial that no plan contains.

    Attributes:
        label: The label of the trial, as in `random (purity threshold 0.7) s0`.
        dataset: The name of the trial's dataset.
        condition: The scenario and the settings that the trial shares with the trials of other seeds, as in `random
            (purity threshold 0.7)`.
        dataset_label: The dataset with the options that distinguish it from other datasets of the same name.
    """

    label: str | None = None
    dataset: str | None = None
    condition: str | None = None
    dataset_label: str | None = None


UNNAMED = Names()


def names_in(plan: SweepPlan, variants: Sequence[str] = ()) -> dict[str, Names]:
    """The names of all trials of a plan, by experiment id.

    Args:
        variants: The result of `data_variants` for each trial, so that trials that read different images or weights do
            not have the same condition; empty if nothing is known about the data.
    """
    configs, searched = list(plan.experiments.values()), plan.searched
    conditions = [
        f"{condition} {variant}".rstrip()
        for condition, variant in zip(condition_labels(configs, searched), variants or [""] * len(configs), strict=True)
    ]
    rows = zip(
        trial_labels(plan.experiments, searched).values(),
        dataset_names(configs),
        conditions,
        dataset_labels(configs),
        strict=True,
    )
    return {key: Names(*row) for key, row in zip(plan.experiments, rows, strict=True)}
