"""The experiments that a sweep's grid asks for, checked one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from raycal.config.experiment import WORKERS, ExperimentConfig
from raycal.config.grid import combinations
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig
from raycal.config.setting import Setting, Template, origin
from raycal.config.yaml_file import Where
from raycal.registry import Registry

Registries = Mapping[str, Registry[Any]]
MISPLACED = {WORKERS: "workers_per_trial"} | {key: key for key in ResourceConfig.model_fields}


def expand(
    grid: Mapping[str, Any], template: Template, registries: Registries, problems: Problems
) -> tuple[dict[str, ExperimentConfig], int]:
    """Every combination of the grid, checked, and how many there are; the same experiment once."""
    combined = [(template.settings(settings), at) for settings, at in combinations(grid, problems)]
    # Where `--set` pins a key of the grid, combinations become the same.
    distinct = {tuple(setting.value_at for setting in settings): (settings, at) for settings, at in combined}
    experiments: dict[str, ExperimentConfig] = {}
    for settings, at in distinct.values():
        config = _checked(template, settings, at, registries, problems)
        if config is not None:
            experiments.setdefault(config.experiment_id, config)
    return experiments, len(distinct)


def _checked(
    template: Template, settings: Sequence[Setting], asked_at: Where, registries: Registries, problems: Problems
) -> ExperimentConfig | None:
    """The experiment with these settings; None, and what is wrong, when there is a problem."""
    filled = template.fill(settings)
    for key in [key for key in filled if key in MISPLACED]:
        at = origin(("experiment",), (key,), settings, whole_key=True)
        problems.say(at, f"belongs under resources, as resources.{MISPLACED[key]}")
        del filled[key]
    try:
        return ExperimentConfig.model_validate(filled | {WORKERS: template.workers}, context=registries)
    except ValidationError as error:
        problems.add(error, ExperimentConfig, ("experiment",), settings=settings, asked_at=asked_at)
        return None
