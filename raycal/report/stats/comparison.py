"""What may be compared: the groups of one dataset, and among them those that differ by their scenario alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raycal.config.labels import dataset_labels, seedless_id, setting_words
from raycal.report.runs import Group, Runs, Trial

RANDOM, SUPERVISED = "random", "supervised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value of everything but scenario and seed.

    Attributes:
        label: The values that tell it from the others of its dataset; empty when it is the only one.
        groups: By scenario. One that a varied setting does not concern, as a threshold `random`, is in all of them.
    """

    label: str
    groups: Mapping[str, Group]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All groups of a sweep on one dataset, in the order of its plan; nothing is compared across datasets."""

    dataset: str
    groups: tuple[Group, ...]
    settings: tuple[Setting, ...]

    @property
    def candidates(self) -> tuple[Group, ...]:
        """The groups that choose what is annotated: all but full supervision."""
        return tuple(group for group in self.groups if not is_whole_pool(group))

    @property
    def advisable(self) -> tuple[Group, ...]:
        """The candidates that people can work by: all but upper bounds."""
        return tuple(group for group in self.candidates if not group.is_bound)

    def setting_of(self, group: Group) -> Setting:
        """The first setting that holds the group."""
        return next(setting for setting in self.settings if setting.groups.get(group.scenario) is group)


def by_dataset(runs: Runs) -> list[Comparison]:
    """The comparisons of a sweep, one for each dataset with its options."""
    datasets: dict[str, list[Group]] = {}
    for group in runs.groups:
        datasets.setdefault(group.trials[0].dataset, []).append(group)
    firsts = [groups[0].trials[0] for groups in datasets.values()]
    names = dataset_labels([trial.config for trial in firsts], [trial.dataset_name for trial in firsts])
    return [
        Comparison(dataset=name, groups=tuple(groups), settings=_settings(groups))
        for name, groups in zip(names, datasets.values(), strict=True)
    ]


def is_whole_pool(group: Group) -> bool:
    """Whether the group is full supervision."""
    return group.trials[0].config.steps.whole_pool


def by_seed(group: Group) -> dict[int, Trial]:
    """The finished trials."""
    return {trial.config.seed: trial for trial in group.finished}


def same_seeds(groups: Sequence[Group]) -> list[int]:
    """The seeds that every group has finished, ascending."""
    return sorted(set.intersection(*(set(by_seed(group)) for group in groups))) if groups else []


def varied_settings(groups: Sequence[Group]) -> list[str]:
    """The settings that differ between the groups of a dataset, the scenario apart."""
    keys = (key for key in groups[0].settings if key != "scenario")
    return [key for key in keys if len({group.settings[key] for group in groups}) > 1]


def _settings(groups: Sequence[Group]) -> tuple[Setting, ...]:
    """The settings of one dataset."""
    scenarios = {group.scenario: group.trials[0].config.scenario for group in groups}
    by_experiment = {_experiment(group, scenarios[group.scenario]): group for group in groups}
    keys = varied_settings(groups)
    first_of: dict[str, Group] = {}
    for group in groups:
        first_of.setdefault(setting_words({key: group.settings[key] for key in keys}), group)
    return tuple(
        Setting(
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
    """The id that a group's experiments would have under a scenario, their seed apart."""
    return seedless_id(group.trials[0].config.model_copy(update={"scenario": scenario}))
