"""Loads a sweep: the experiments that a sweep file asks for. All problems of the file are reported at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import MinLen
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from raycal.config.expand import REQUIRED, Registries, checked, drawn, examples, expand
from raycal.config.experiment import ExperimentConfig
from raycal.config.grid import varied_by
from raycal.config.mapping import document_of
from raycal.config.overrides import Overrides, apply_overrides
from raycal.config.problems import Problems
from raycal.config.resources import ResourceConfig, TrackingConfig
from raycal.config.scheduler import GivenScheduler, SchedulerConfig, incomparable
from raycal.config.search import SearchConfig
from raycal.config.setting import Template
from raycal.config.strict import Strict
from raycal.config.yaml_file import Where, read_yaml
from raycal.errors import InputError, printable
from raycal.installed import is_installed
from raycal.plugins import Plugin, find_plugin, installed_plugins, load_plugins
from raycal.registry import NAME_PATTERN

T = TypeVar("T", bound=BaseModel)


class _SweepFile(Strict):
    """The top level of a sweep file."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    plugins: list[str] = Field(default_factory=list)
    experiment: dict[str, Any]
    grid: dict[str, Annotated[list[Any], MinLen(1)]] = Field(default_factory=dict)
    search: SearchConfig | None = None
    scheduler: GivenScheduler = None
    resources: ResourceConfig = ResourceConfig()
    tracking: TrackingConfig = TrackingConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A checked sweep.

    Attributes:
        experiments: The experiments by id, in the order of the samples and the grid. Empty if the search decides the
            settings trial by trial (`algorithm: optuna`).
        num_combinations: Number of combinations of grid and samples. It exceeds the number of experiments where a
            setting cannot change the result of a scenario.
        examples: For a search that decides trial by trial, the base experiment and then experiments at the ends of the
            search space. Otherwise empty.
        axes: The keys that the grid and a random search vary.
        template: The common part of all experiments, from which `experiment_of` starts.
        registries: The extensions by kind, with which `experiment_of` checks names.
        plugins: The plug-ins that are loaded for the sweep: the installed ones, and those that the file names.
        notes: Notes for the user on the effects of overrides, one line each.
    """

    name: str
    experiments: Mapping[str, ExperimentConfig]
    num_combinations: int
    resources: ResourceConfig
    tracking: TrackingConfig
    search: SearchConfig | None = None
    scheduler: SchedulerConfig | None = None
    examples: Mapping[str, ExperimentConfig] = field(default_factory=dict)
    axes: tuple[str, ...] = ()
    template: Template = field(default_factory=lambda: Template({}))
    registries: Registries = field(default_factory=dict)
    plugins: Sequence[Plugin] = ()
    notes: Sequence[str] = ()

    @property
    def base(self) -> ExperimentConfig | None:
        """The experiment that a search starts from if it decides trial by trial; None if all experiments are known."""
        return next(iter(self.examples.values()), None)

    @property
    def num_trials(self) -> int:
        """The largest number of trials that the sweep may have."""
        return self.search.num_samples if self.search and self.base else len(self.experiments)

    def experiment_of(self, values: Mapping[str, Any]) -> ExperimentConfig:
        """The experiment with these values of the search space, given by dotted key.

        Raises:
            InputError: The combination of values is not accepted.
        """
        problems = Problems(self.name, {(): 1}, self.registries)
        config = checked(self.template, self.template.settings(drawn(values)), self.registries, problems)
        if config is None:
            raise InputError(*problems.lines)
        return config


def load_sweep(source: str | Mapping[str, Any], registries: Registries, *, overrides: Overrides = ()) -> Sweep:
    """Read a sweep, import its plug-ins, and check the whole sweep.

    Args:
        source: The path of a sweep file, or the content of such a file as nested mappings. Relative paths of plug-ins
            are resolved against the folder of the file, or for a mapping against the working directory.
        registries: The extensions that the sweep may name, by kind. The plug-ins add their extensions.
        overrides: `KEY=VALUE` strings as for `--set`, or values by key. A key that does not begin with a top-level key
            is a key of `experiment`. Overrides of `experiment` take precedence over the grid and the search.

    Raises:
        InputError: The sweep has problems; the error lists all of them.
    """
    document = read_yaml(source) if isinstance(source, str) else document_of(source)
    values = document.values
    problems = Problems(source if isinstance(source, str) else "", document.lines, registries)
    sections = _SweepFile.model_fields
    pinned, notes = apply_overrides(values, overrides, sections, problems)
    folder = Path(source).parent if isinstance(source, str) else Path()
    plugins = _load_plugins(values.get("plugins"), folder, registries, problems)
    try:
        file = _SweepFile.model_validate(values)
    except ValidationError as error:
        problems.add(error, _SweepFile, ())
        file = None
    resources = _section(values, "resources", ResourceConfig) or ResourceConfig()
    base = values.get("experiment")
    template = Template(
        base if isinstance(base, dict) else {},
        pinned,
        resources.workers_per_trial,
    )
    search = _section(values, "search", SearchConfig)
    if search is not None:
        search = _without_pinned(search, template)
    experiments, num_combinations, at_ends = _experiments(values, search, template, registries, problems)
    if file is not None and file.scheduler is not None:
        reason = incomparable([*experiments.values(), *at_ends.values()])
        if reason is not None:
            problems.say(("scheduler",), reason)
    if problems or file is None:
        raise InputError(*problems.lines)
    return Sweep(
        name=file.name,
        experiments=experiments,
        num_combinations=num_combinations,
        resources=file.resources,
        tracking=file.tracking,
        search=search,
        scheduler=file.scheduler,
        examples=at_ends,
        axes=() if at_ends else (*varied_by(file.grid), *(search.space if search else ())),
        template=template,
        registries=registries,
        plugins=plugins,
        notes=[printable(note) for note in notes],
    )


def _load_plugins(given: Any, folder: Path, registries: Registries, problems: Problems) -> Sequence[Plugin]:
    """Import the plug-ins that are installed and those that the file names.

    Raises:
        InputError: A plug-in cannot be used. The rest of the file is not checked then, as it may name its extensions.
    """
    before = len(problems.lines)
    found: dict[str, Plugin] = {plugin.module: plugin for plugin in installed_plugins()}
    places: dict[str, Where] = {}
    is_list = isinstance(given, list)
    items = given if is_list else [] if given is None else [given]
    for row, item in enumerate(items):
        where: Where = ("plugins", row) if is_list else ("plugins",)
        if not is_list or not isinstance(item, str):
            problems.say(where, f"should be a list of import names and paths, such as [./my_module.py], not {item!r}")
            continue
        try:
            plugin = find_plugin(item, folder)
        except InputError as error:
            problems.say(where, str(error))
            continue
        if any(plugin.name == other.name and plugin.digest != other.digest for other in found.values()):
            problems.say(where, f"{item}: another plug-in is also called {plugin.name}; rename one of the files")
        found.setdefault(plugin.module, plugin)
        places.setdefault(plugin.given, where)
    plugins = tuple(found.values())
    if len(problems.lines) == before:
        try:
            load_plugins(plugins, registries)
        except InputError as error:
            for line in error.problems:
                at = next((where for given, where in places.items() if line.startswith(f"{given}: ")), None)
                if at is None:
                    problems.say_line(f"plug-in {line}")
                else:
                    problems.say(at, line)
    if len(problems.lines) > before:
        raise InputError(*problems.lines)
    return plugins


def _experiments(
    values: Mapping[str, Any],
    search: SearchConfig | None,
    template: Template,
    registries: Registries,
    problems: Problems,
) -> tuple[dict[str, ExperimentConfig], int, dict[str, ExperimentConfig]]:
    """The experiments, the number of combinations, and the examples of a search that decides trial by trial."""
    base, grid = values.get("experiment"), values.get("grid", {})
    if not isinstance(base, dict) or not isinstance(grid, dict):
        return {}, 0, {}
    if search is None and values.get("search") is not None and not base.keys() >= REQUIRED:
        return {}, 0, {}  # the search section is invalid: do not also report the keys that it would supply as missing
    if search is None or search.algorithm == "random":
        return *expand(grid, search, template, registries, problems), {}
    if grid:
        problems.say(("grid",), "should be empty with search: optuna; put the choices into search.space")
    if not search.space:
        problems.say(("search", "space"), "has no keys left, as --set gives values to all of them")
    if not is_installed("optuna"):
        problems.say(("search", "algorithm"), "optuna is not installed; pip install 'raycal[search]'")
    return {}, 0, examples(search, template, registries, problems)


def _without_pinned(search: SearchConfig, template: Template) -> SearchConfig:
    """The search without the keys to which `--set` gives a value."""
    space = {key: domain for key, domain in search.space.items() if not template.pins(key)}
    return search.model_copy(update={"space": space})


def _section(values: Mapping[str, Any], name: str, model: type[T]) -> T | None:
    """A section of the file; None when it is missing or invalid, which the check of the whole file reports."""
    try:
        return model.model_validate(values.get(name))
    except ValidationError:
        return None
