"""A sweep: the experiments a file asks for, every problem of it said at once."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import Field, StringConstraints, ValidationError

from raycal.config.experiment import ExperimentConfig
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig, TrackingConfig
from raycal.config.strict import NAME_PATTERN, Strict
from raycal.config.yaml_file import parse_value, read_yaml
from raycal.errors import InputError
from raycal.registry import Registry

MAX_EXPERIMENTS = 10_000
Registries = Mapping[str, Registry[Any]]


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
    for override in overrides:
        _apply_override(values, override, problems)
    try:
        file = _SweepFile.model_validate(values)
    except ValidationError as error:
        problems.add(error, _SweepFile, ())
        file = None
    experiments, num_combinations = _expand(values, registries, problems)
    if problems or file is None:
        raise InputError(*problems.lines)
    return Sweep(
        name=file.name,
        experiments=experiments,
        num_combinations=num_combinations,
        resources=file.resources,
        tracking=file.tracking,
    )


def _expand(
    values: Mapping[str, Any], registries: Registries, problems: Problems
) -> tuple[dict[str, ExperimentConfig], int]:
    """Every combination of the grid, checked; the same experiment once."""
    base, grid = values.get("experiment"), values.get("grid", {})
    if not isinstance(base, dict) or not isinstance(grid, dict):
        return {}, 0
    grid = {key: choices for key, choices in grid.items() if isinstance(choices, list) and choices}
    num_combinations = prod(len(choices) for choices in grid.values())
    if num_combinations > MAX_EXPERIMENTS:
        problems.say(("grid",), f"has {num_combinations} combinations; at most {MAX_EXPERIMENTS} are accepted")
        return {}, num_combinations
    experiments: dict[str, ExperimentConfig] = {}
    for choice in product(*(range(len(choices)) for choices in grid.values())):
        settings = deepcopy(base)
        picked = dict(zip(grid, choice, strict=True))
        for key, row in sorted(picked.items(), key=lambda item: item[0].count(".")):
            _set(settings, key.split("."), deepcopy(grid[key][row]))
        try:
            config = ExperimentConfig.model_validate(settings, context=registries)
        except ValidationError as error:
            problems.add(error, ExperimentConfig, ("experiment",), grid=picked)
        else:
            experiments.setdefault(config.experiment_id, config)
    return experiments, num_combinations


def _apply_override(values: dict[str, Any], override: str, problems: Problems) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        problems.say_line(f"--set {override}: should be KEY=VALUE, as in --set training.learning_rate=1e-3")
        return
    try:
        value = parse_value(text)
    except ValueError as error:
        problems.say_line(f"--set {key}: {error}")
        return
    path = key.split(".")
    if path[0] not in _SweepFile.model_fields:
        path = ["experiment", *path]
    if path[0] == "experiment" and isinstance(values.get("grid"), dict):
        _override_grid(values["grid"], path[1:], value)
    if path[0] == "grid" and len(path) > 2:
        path = ["grid", ".".join(path[1:])]
    problems.overridden(tuple(path), key)
    _set(values, path, value)


def _override_grid(grid: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Make an override win over the grid: it replaces what the grid has at or below it, and goes into what is above."""
    for key, choices in list(grid.items()):
        above = key.split(".")
        if above[: len(path)] == list(path):
            del grid[key]
        elif path[: len(above)] == above and isinstance(choices, list):
            for row, choice in enumerate(choices):
                choices[row] = {"name": choice} if isinstance(choice, str) else choice
                if isinstance(choices[row], dict):
                    _set(choices[row], path[len(above) :], value)


def _set(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path; a bare component name on the way becomes `{name: ...}`."""
    for key in path[:-1]:
        below = tree.get(key)
        if isinstance(below, str):
            below = {"name": below}
        tree[key] = below if isinstance(below, dict) else {}
        tree = tree[key]
    tree[path[-1]] = value
