"""Selects what one figure compares: the scenarios of a dataset under the same settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from raycal.config.labels import concerns, setting_words, varied_keys
from raycal.report.runs import Group, Runs, Trial
from raycal.report.stats.rounding import exact
from raycal.storage.results import area_under_budget_curve

# A figure has one row for each slice, up to this number of rows. With more slices, each scenario is shown at its best
# setting.
MAX_SLICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Scenarios that are compared with each other.

    Attributes:
        title: The settings that distinguish this slice from other slices; empty if there is only one slice.
        groups: Groups with a finished trial, at most one per scenario, without full supervision.
        notes: The setting at which each group is shown; empty if the title of the panel names it.
        supervised: The finished trials of full supervision.
    """

    title: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    supervised: tuple[Trial, ...]

    @property
    def is_best_of_each(self) -> bool:
        """Whether every scenario is shown at its own best setting."""
        return any(self.notes)


def datasets(runs: Runs) -> list[str]:
    """The names of the datasets, in the order of the plan."""
    return list(dict.fromkeys(trial.dataset_name for trial in runs.trials))


def of_dataset(runs: Runs, dataset: str) -> Runs:
    """The runs on one dataset."""
    return Runs(name=runs.name, trials=tuple(trial for trial in runs.trials if trial.dataset_name == dataset))


def scenarios(runs: Runs) -> list[str]:
    """The names of all scenarios, in the order of the plan, full supervision last."""
    whole_pool = {trial.scenario: trial.config.resolved_scenario.whole_pool for trial in runs.trials}
    return sorted(whole_pool, key=lambda name: whole_pool[name])


def slices(runs: Runs) -> list[Slice]:
    """The slices that the figures of a dataset's runs compare; empty without a finished trial."""
    finished = [group for group in runs.groups if group.finished]
    asking = [group for group in finished if not group.trials[0].config.resolved_scenario.whole_pool]
    supervised = [group for group in finished if group.trials[0].config.resolved_scenario.whole_pool]
    conditions = _conditions(asking)
    if len(conditions) > MAX_SLICES:
        return [_best_of_each(asking, supervised)]
    if not asking and not supervised:
        return []
    compared: list[Slice] = []
    for condition in conditions or [{}]:
        groups = tuple(group for group in asking if _settings(group).items() <= condition.items())
        title = setting_words(condition) if len(conditions) > 1 else ""
        notes = tuple("" for _ in groups)
        compared.append(Slice(title=title, groups=groups, notes=notes, supervised=_supervised(supervised, condition)))
    return compared


def varied(runs: Runs) -> list[str]:
    """The settings, except scenario and seed, that differ between trials."""
    return varied_keys([trial.config for trial in runs.trials])[1:]


def _settings(group: Group) -> dict[str, str]:
    """The varied settings that can affect a group."""
    config = group.trials[0].config
    return {key: value for key, value in group.settings.items() if key != "scenario" and concerns(config, key)}


def _conditions(groups: Sequence[Group]) -> list[dict[str, str]]:
    """The distinct settings of the groups. Settings that are a subset of another group's settings are left out."""
    conditions: list[dict[str, str]] = []
    for group in groups:
        settings = _settings(group)
        if settings not in conditions:
            conditions.append(settings)
    return [each for each in conditions if not any(each.items() < other.items() for other in conditions)]


def _supervised(groups: Sequence[Group], condition: dict[str, str]) -> tuple[Trial, ...]:
    """The finished trials of full supervision under the same settings or, if there are no such trials, under the first
    settings with which full supervision was run."""
    same = [group for group in groups if _settings(group).items() <= condition.items()]
    return next((group.finished for group in same or groups), ())


def _best_of_each(asking: Sequence[Group], supervised: Sequence[Group]) -> Slice:
    """Every scenario at the setting with the largest mean area under its budget curve, without upper bounds."""
    best: dict[str, Group] = {}
    for group in [group for group in asking if not group.is_bound] or asking:
        if group.scenario not in best or _area(group) > _area(best[group.scenario]):
            best[group.scenario] = group
    return Slice(
        title="",
        groups=tuple(best.values()),
        notes=tuple(group.note for group in best.values()),
        supervised=_supervised(supervised, {}),
    )


def _area(group: Group) -> float:
    areas = [area_under_budget_curve(trial.lines) for trial in group.finished]
    # Equal areas must compare as equal in spite of floating-point errors.
    return exact(fmean([area for area in areas if area is not None] or [0.0]))
