"""A sweep: the experiments a file asks for, every problem of it said at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import Field, StringConstraints, ValidationError

from raycal.config.expand import Registries, expand
from raycal.config.experiment import ExperimentConfig
from raycal.config.overrides import apply_override
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig, TrackingConfig
from raycal.config.setting import Template
from raycal.config.strict import NAME_PATTERN, Strict
from raycal.config.yaml_file import read_yaml
from raycal.errors import InputError


class _SweepFile(Strict):
    """The top level of a sweep file."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    experiment: dict[str, Any]
    grid: dict[str, Annotated[list[Any], MinLen(1)]] = Field(default_factory=dict)
    resources: ResourceConfig = ResourceConfig()
    tracking: TrackingConfig = TrackingConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A checked sweep.

    Attributes:
        experiments: By experiment id, in the order of the grid.
        num_combinations: Of the grid; more than experiments where a setting cannot change a scenario's result.
    """

    name: str
    experiments: Mapping[str, ExperimentConfig]
    num_combinations: int
    resources: ResourceConfig
    tracking: TrackingConfig


def load_sweep(path: str, registries: Registries, *, overrides: Sequence[str] = ()) -> Sweep:
    """Read a sweep file and check all of it.

    Args:
        registries: The extensions a name may mean, by kind.
        overrides: `KEY=VALUE` as `--set` takes them; a key is one of `experiment` unless it begins with a top-level
            key; setting a key of the grid puts the value in its place.

    Raises:
        InputError: With every problem.
    """
    document = read_yaml(path)
    values = document.values
    problems = Problems(path, document.lines, registries)
    sections = _SweepFile.model_fields
    pinned = [apply_override(values, override, sections, problems) for override in overrides]
    try:
        file = _SweepFile.model_validate(values)
    except ValidationError as error:
        problems.add(error, _SweepFile, ())
        file = None
    base, grid = values.get("experiment"), values.get("grid", {})
    experiments: dict[str, ExperimentConfig] = {}
    num_combinations = 0
    if isinstance(base, dict) and isinstance(grid, dict):
        workers = file.resources.workers_per_trial if file is not None else 1
        template = Template(base, [setting for setting in pinned if setting is not None], workers)
        experiments, num_combinations = expand(grid, template, registries, problems)
    if problems or file is None:
        raise InputError(*problems.lines)
    return Sweep(
        name=file.name,
        experiments=experiments,
        num_combinations=num_combinations,
        resources=file.resources,
        tracking=file.tracking,
    )
