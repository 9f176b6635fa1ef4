"""Arranges groups for comparison: by dataset, and within a dataset by settings, so that only scenarios differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raycal.config.dataset_names import dataset_labels
from raycal.config.labels import seedless_id, setting_words, without_plain_weights
from raycal.report.runs import Group, Runs, Trial

RANDOM, SUPERVISED = "random", "supervised"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionGroup:
    """One combination of all settings except scenario and seed.

    Attributes:
        label: The values that distinguish this combination from the other combinations of its dataset; empty if there
            is only one.
        groups: The groups by scenario. A group that a varied setting cannot affect, such as `random` with a purity
            threshold, is in every combination.
    """

    label: str
    groups: Mapping[str, Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All groups of a sweep on one dataset, in the order of the plan; nothing is compared across datasets."""

    dataset: str
    groups: tuple[Group, ...]
    condition_groups: tuple[ConditionGroup, ...]

    @property
    def candidates(self) -> tuple[Group, ...]:
        """The groups that select what is annotated: all except full supervision."""
        return tuple(group for group in self.groups if not is_whole_pool(group))

    @property
    def advisable(self) -> tuple[Group, ...]:
        """The candidates that human annotators can follow: all except upper bounds."""
        return tuple(group for group in self.candidates if not group.is_bound)

    def condition_group_of(self, group: Group) -> ConditionGroup:
        """The first condition that contains the group."""
        return next(condition for condition in self.condition_groups if condition.groups.get(group.scenario) is group)


def by_dataset(runs: Runs) -> list[Comparison]:
    """The comparisons of a sweep: one for each dataset with its options."""
    datasets: dict[str, list[Group]] = {}
    for group in runs.groups:
        datasets.setdefault(group.trials[0].dataset, []).append(group)
    firsts = [groups[0].trials[0] for groups in datasets.values()]
    names = dataset_labels([trial.config for trial in firsts], [trial.dataset_name for trial in firsts])
    return [
        Comparison(dataset=name, groups=tuple(groups), condition_groups=_condition_groups(groups))
        for name, groups in zip(names, datasets.values(), strict=True)
    ]


def is_whole_pool(group: Group) -> bool:
    """Whether the group is full supervision."""
    return group.trials[0].config.resolved_scenario.whole_pool


def by_seed(group: Group) -> dict[int, Trial]:
    """The finished trials of a group by seed."""
    return {trial.config.seed: trial for trial in group.finished}


def same_seeds(groups: Sequence[Group]) -> list[int]:
    """The seeds that all groups have finished, in ascending order."""
    return sorted(set.intersection(*(set(by_seed(group)) for group in groups))) if groups else []


def varied_settings(groups: Sequence[Group]) -> list[str]:
    """The settings, except the scenario, that differ between the groups of a dataset."""
    keys = (key for key in groups[0].settings if key != "scenario")
    return [key for key in keys if len({group.settings[key] for group in groups}) > 1]


def _condition_groups(groups: Sequence[Group]) -> tuple[ConditionGroup, ...]:
    """The condition groups of one dataset."""
    scenarios = {group.scenario: group.trials[0].config.scenario for group in groups}
    by_experiment = {_experiment(group, scenarios[group.scenario]): group for group in groups}
    keys = without_plain_weights(varied_settings(groups), [group.trials[0].config for group in groups])
    first_of: dict[str, Group] = {}
    for group in groups:
        first_of.setdefault(setting_words({key: group.settings[key] for key in keys}), group)
    return tuple(
        ConditionGroup(
            label=label,
            groups={
                name: by_experiment[experiment]
                for name, scenario in scenarios.items()
                if (experiment := _experiment(group, scenario)) in by_experiment
            },
        )
        for label, group in first_of.items()
    )


def _experiment(group: Group, scenario: Any) -> str:
    """The experiment id, without the seed, that the group's experiments would have with another scenario."""
    return seedless_id(group.trials[0].config.model_copy(update={"scenario": scenario}))
